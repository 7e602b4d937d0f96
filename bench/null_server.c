/* null-server: the floor that txkv-server is compared with. The same libuv loop in the same order (read callbacks only
 * collect bytes; everything else happens in uv_check; one uv_try_write a connection and tick), but a constant answer:
 * every LF is answered by OK. What a server needs beyond it is its own work: decoding, looking up, replying.
 *
 * Invariant: owed answers are only a number, and every answer is alike, so whatever a socket does not take is a part of
 * the constant block and needs no buffer of its own. */
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define IN_SIZE 65536
#define BACKLOG 511
#define ANSWER "OK\r\n"
#define ANSWER_SIZE (sizeof ANSWER - 1)
#define BLOCK_ANSWERS ((size_t)IN_SIZE) /* a full input buffer holds no more LFs */

struct conn {
    uv_tcp_t tcp;
    uv_write_t write;
    struct conn *next_ready; /* on the ready list */
    bool ready;              /* is on it */
    bool writing;            /* a uv_write is under way */
    uint64_t owed;           /* answers not handed to the socket yet */
    size_t in_len;           /* bytes at in */
    char in[IN_SIZE];
};

static char block[BLOCK_ANSWERS * ANSWER_SIZE]; /* answers, end to end */
static struct conn *ready_list;

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void conn_close(struct conn *c)
{
    if (!uv_is_closing((uv_handle_t *)&c->tcp)) {
        uv_close((uv_handle_t *)&c->tcp, on_closed);
    }
}

static void conn_flush(struct conn *c);

static void on_written(uv_write_t *write, int status)
{
    struct conn *c = write->data;
    c->writing = false;
    if (status != 0) {
        conn_close(c);
    } else {
        conn_flush(c);
    }
}

static void conn_flush(struct conn *c)
{
    if (c->writing || c->owed == 0 || uv_is_closing((uv_handle_t *)&c->tcp)) {
        return;
    }
    size_t answers = c->owed < BLOCK_ANSWERS ? (size_t)c->owed : BLOCK_ANSWERS;
    uv_buf_t buf = uv_buf_init(block, (unsigned)(answers * ANSWER_SIZE));
    int taken = uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);
    if (taken < 0 && taken != UV_EAGAIN) {
        conn_close(c);
        return;
    }
    c->owed -= answers;
    taken = taken < 0 ? 0 : taken;
    if ((size_t)taken < buf.len || c->owed > 0) {
        buf.base += taken;
        buf.len -= (size_t)taken;
        c->writing = true;
        c->write.data = c;
        if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &buf, 1, on_written) != 0) {
            c->writing = false;
            conn_close(c);
        }
    }
}

static void on_check(uv_check_t *check)
{
    (void)check;
    while (ready_list != NULL) {
        struct conn *c = ready_list;
        ready_list = c->next_ready;
        c->ready = false;
        const char *at = c->in;
        const char *end = c->in + c->in_len;
        while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
            c->owed++;
            at++;
        }
        c->in_len = 0;
        conn_flush(c);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct conn *c = handle->data;
    *buf = uv_buf_init(c->in + c->in_len, (unsigned)(IN_SIZE - c->in_len));
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
    (void)buf;
    struct conn *c = stream->data;
    if (nread == UV_ENOBUFS) { /* the rest stays in the kernel until the next tick */
        return;
    }
    if (nread < 0) {
        conn_close(c);
        return;
    }
    c->in_len += (size_t)nread;
    if (!c->ready) {
        c->ready = true;
        c->next_ready = ready_list;
        ready_list = c;
    }
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct conn *c = status == 0 ? malloc(sizeof *c) : NULL;
    if (c == NULL) {
        return;
    }
    memset(c, 0, offsetof(struct conn, in));
    uv_tcp_init(listener->loop, &c->tcp);
    c->tcp.data = c;
    if (uv_accept(listener, (uv_stream_t *)&c->tcp) != 0 || uv_tcp_nodelay(&c->tcp, 1) != 0 ||
        uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) != 0) {
        conn_close(c);
    }
}

static void on_signal(uv_signal_t *handle, int signum)
{
    (void)signum;
    uv_stop(handle->loop);
}

/* A connection frees itself (on_closed); the handles of main() only close. */
static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle)) {
        uv_close(handle, handle->data != NULL ? on_closed : NULL);
    }
}

static int serve(uint16_t port)
{
    const char *act = "starting";
    uv_loop_t *loop = uv_default_loop();
    uv_tcp_t listener = {0};
    uv_check_t check = {0};
    uv_signal_t term = {0};
    uv_signal_t intr = {0};
    struct sockaddr_in addr;
    int addr_size = sizeof addr;
    int err = uv_tcp_init(loop, &listener);
    if (err == 0) {
        act = "listening";
        err = uv_ip4_addr("127.0.0.1", port, &addr);
        err = err != 0 ? err : uv_tcp_bind(&listener, (const struct sockaddr *)&addr, 0);
        err = err != 0 ? err : uv_listen((uv_stream_t *)&listener, BACKLOG, on_connection);
        err = err != 0 ? err : uv_tcp_getsockname(&listener, (struct sockaddr *)&addr, &addr_size);
    }
    if (err != 0) {
        fprintf(stderr, "null-server: %s: %s\n", act, uv_strerror(err));
        return 1;
    }
    uv_check_init(loop, &check);
    uv_check_start(&check, on_check);
    uv_signal_init(loop, &term);
    uv_signal_start(&term, on_signal, SIGTERM);
    uv_signal_init(loop, &intr);
    uv_signal_start(&intr, on_signal, SIGINT);
    printf("null listening on 127.0.0.1:%u\n", (unsigned)((addr.sin_port & 0xff) << 8 | addr.sin_port >> 8));
    fflush(stdout);
    uv_run(loop, UV_RUN_DEFAULT);
    uv_walk(loop, close_handle, NULL);
    uv_run(loop, UV_RUN_DEFAULT);
    uv_loop_close(loop);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'}, {"help", no_argument, NULL, 'H'}, {NULL, 0, NULL, 0}};
    unsigned long port = 0;
    int opt;
    while ((opt = getopt_long(argc, argv, "p:", options, NULL)) != -1) {
        if (opt == 'H') {
            puts("usage: null-server [--port PORT]\n"
                 "Answers every line by OK. Without --port, or with 0, on any free port.");
            return 0;
        }
        char *end = optarg;
        port = opt == 'p' ? strtoul(optarg, &end, 10) : 0;
        if (opt != 'p' || end == optarg || *end != '\0' || port > UINT16_MAX) {
            fprintf(stderr, "null-server: expected --port 0 to 65535\n");
            return 2;
        }
    }
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < BLOCK_ANSWERS; i++) {
        memcpy(block + i * ANSWER_SIZE, ANSWER, ANSWER_SIZE);
    }
    return serve((uint16_t)port);
}
