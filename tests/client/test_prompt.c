/* The prompt of txkv-cli in a pseudo-terminal, as a person sees it. Usage: test_prompt txkv-server txkv-cli */
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "process.h"

#define PATIENCE_MS 10000

static char *server_path;
static char *cli_path;
static struct server server;
static char home[] = "/tmp/txkv-prompt-XXXXXX";

/* A txkv-cli at a terminal. */
struct person {
    pid_t pid;
    int terminal;
    char seen[65536]; /* what it showed, ended by NUL */
    size_t len;
    size_t read; /* bytes of it that were expected already */
};

static struct person person;

static void sit_down(void)
{
    char port[16];
    person = (struct person){.pid = -1};
    snprintf(port, sizeof port, "%d", server.port);
    fflush(stdout);
    struct winsize size = {.ws_row = 24, .ws_col = 200};
    person.pid = forkpty(&person.terminal, NULL, NULL, &size);
    if (person.pid < 0) {
        perror("no terminal for the test"); /* and no process -1 to be killed: that would be everyone */
        server_kill(&server);
        exit(1);
    }
    if (person.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setenv("TERM", "xterm", 1);
        setenv("HOME", home, 1);
        unsetenv("TXKV_HISTFILE");
        execl(cli_path, cli_path, "-p", port, (char *)NULL);
        _exit(127);
    }
}

static long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Takes what the terminal shows within wait_ms; false if there was nothing, or it is closed. */
static bool look(int wait_ms)
{
    struct pollfd p = {.fd = person.terminal, .events = POLLIN};
    if (poll(&p, 1, wait_ms) <= 0) {
        return false;
    }
    ssize_t n = read(person.terminal, person.seen + person.len, sizeof person.seen - 1 - person.len);
    person.len += n > 0 ? (size_t)n : 0;
    person.seen[person.len] = '\0';
    return n > 0;
}

/* Waits until text is seen behind what was expected before. */
static bool expect_at(const char *text, int line)
{
    long deadline = now_ms() + PATIENCE_MS;
    for (;;) {
        char *at = strstr(person.seen + person.read, text);
        if (at != NULL) {
            person.read = (size_t)(at - person.seen) + strlen(text);
            return true;
        }
        long left = deadline - now_ms();
        if (left <= 0 || !look((int)left)) {
            fprintf(stderr, "%s:%d: \"%s\" does not come; seen: \"%s\"\n", __FILE__, line, text,
                    person.seen + person.read);
            check_failures++;
            return false;
        }
    }
}

#define EXPECT(text) expect_at((text), __LINE__)

static void type(const char *text)
{
    CHECK(write(person.terminal, text, strlen(text)) == (ssize_t)strlen(text));
}

/* Waits for the end of the program and checks its exit status. */
static void expect_exit(int want)
{
    int status = 0;
    long deadline = now_ms() + PATIENCE_MS;
    while (waitpid(person.pid, &status, WNOHANG) == 0) {
        if (now_ms() > deadline) {
            fprintf(stderr, "it does not end; seen: \"%s\"\n", person.seen + person.read);
            kill(person.pid, SIGKILL);
            waitpid(person.pid, &status, 0);
            break;
        }
        if (!look(20)) {
            usleep(5000); /* the terminal may be closed before the program has ended */
        }
    }
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), want);
    while (look(50)) {
    }
    close(person.terminal);
}

static void test_a_transaction_is_shown(void)
{
    sit_down();
    EXPECT("txkv> ");
    type("SET a 1\r");
    EXPECT("OK");
    EXPECT("txkv> ");
    type("BEGIN\r");
    EXPECT("OK");
    EXPECT("txkv[tx]> ");
    type("INCR a\r");
    EXPECT("2");
    EXPECT("txkv[tx]> ");
    type("COMMIT\r");
    EXPECT("OK");
    EXPECT("txkv> ");
    type("BEGIN READONLY\r");
    EXPECT("txkv[tx]> ");
    type("SET a 9\r");
    EXPECT("ERR READONLY");
    EXPECT("txkv[tx!]> ");
    type("ROLLBACK\r");
    EXPECT("txkv> ");
    type("GET a\r");
    EXPECT("2");
    EXPECT("txkv> ");
    type("QUIT\r");
    expect_exit(0);
}

static void test_a_typing_error_costs_nothing(void)
{
    sit_down();
    EXPECT("txkv> ");
    type("BEGIN\rSET a 7\r");
    EXPECT("OK");
    EXPECT("OK");
    EXPECT("txkv[tx]> ");
    type("STE a 8\r");
    EXPECT("ERR UNKNOWN");
    EXPECT("(not sent)");
    EXPECT("txkv[tx]> ");
    type("SET  a\r");
    EXPECT("ERR SYNTAX");
    EXPECT("txkv[tx]> ");
    type("\r");
    EXPECT("txkv[tx]> ");
    type("COMMIT\r");
    EXPECT("OK");
    EXPECT("txkv> ");
    type("GET a\r");
    EXPECT("7");
    type("exit\r");
    expect_exit(0);
}

static void test_keys(void)
{
    sit_down();
    EXPECT("txkv> ");
    type("SET a half a li\x03");
    EXPECT("txkv> ");
    type("co\t\r");
    EXPECT("ERR NOTX");
    EXPECT("txkv> ");
    type("EXI\t");
    EXPECT("STS ");
    type("a\r");
    EXPECT("1");
    EXPECT("txkv> ");
    type("begin ser\t\r");
    EXPECT("SERIALIZABLE");
    EXPECT("OK");
    EXPECT("txkv[tx]> ");
    type("\x15\t");
    EXPECT("GET  SET  SETNX");
    EXPECT("QUIT");
    EXPECT("txkv[tx]> ");
    type("DB\t\r");
    EXPECT("\n2\r\n");
    EXPECT("txkv[tx]> ");
    type("\x04");
    EXPECT("discarded");
    expect_exit(0);
}

static void test_help_and_strange_bytes(void)
{
    sit_down();
    EXPECT("txkv> ");
    type("help\r");
    EXPECT("BEGIN");
    EXPECT("SERIALIZABLE");
    EXPECT("QUIT");
    EXPECT("txkv> ");
    type("HELP get\r");
    EXPECT("the value of key");
    EXPECT("txkv> ");
    type("HELP frob\r");
    EXPECT("no command frob");
    EXPECT("txkv> ");
    type("SET u \xc3\xa4\xe2\x82\xac\r");
    EXPECT("OK");
    type("GET u\r");
    EXPECT("\xc3\xa4\xe2\x82\xac\r\n");
    EXPECT("txkv> ");
    type("GET escape\r");
    EXPECT("\\x1b[2J\\x07");
    EXPECT("txkv> ");
    type("\x04");
    expect_exit(0);
}

static void test_history(void)
{
    char path[64];
    struct stat st;
    snprintf(path, sizeof path, "%s/.txkv_history", home);
    CHECK(stat(path, &st) == 0);
    CHECK_INT(st.st_mode & 07777, 0600);
    sit_down();
    EXPECT("txkv> ");
    type("SET h remembered\r");
    EXPECT("OK");
    EXPECT("txkv> ");
    type("auth secret\r"); /* is not */
    EXPECT("ERR DENIED");
    EXPECT("txkv> ");
    type("\x04");
    expect_exit(0);
    sit_down();
    EXPECT("txkv> ");
    type("\x1b[A");
    EXPECT("SET h remembered");
    type("\x7f\x7f\r");
    EXPECT("OK");
    EXPECT("txkv> ");
    type("\x04");
    expect_exit(0);
    sit_down();
    EXPECT("txkv> ");
    type("GET h\r");
    EXPECT("remember\r\n");
    EXPECT("txkv> ");
    type("\x04");
    expect_exit(0);
}

static void test_a_lost_connection(void)
{
    int port = server.port;
    sit_down();
    EXPECT("txkv> ");
    type("BEGIN\rSET a 1\r");
    EXPECT("OK");
    EXPECT("OK");
    EXPECT("txkv[tx]> ");
    server_kill(&server);
    type("SET a 2\r");
    EXPECT("connection lost");
    EXPECT("The open transaction is gone");
    EXPECT("not sent");
    EXPECT("not connected> ");
    type("GET a\r");
    EXPECT("refused");
    EXPECT("not connected> ");
    server = server_start(server_path, port);
    type("SET a 3\r");
    EXPECT("Connected again");
    EXPECT("OK");
    EXPECT("txkv> ");
    server_kill(&server);
    server = server_start(server_path, port);
    type("EXISTS a\r");
    EXPECT("connection lost");
    EXPECT("Connected again");
    EXPECT("0");
    EXPECT("txkv> ");
    type("\x04");
    expect_exit(0);
}

static void test_no_server(void)
{
    server_stop(&server);
    sit_down();
    EXPECT("refused");
    expect_exit(3);
}

static const struct test tests[] = {
    {"a transaction is shown", test_a_transaction_is_shown},
    {"a typing error costs nothing", test_a_typing_error_costs_nothing},
    {"keys", test_keys},
    {"help and strange bytes", test_help_and_strange_bytes},
    {"history", test_history},
    {"a lost connection", test_a_lost_connection},
    {"no server", test_no_server},
};

static void clean_up(void)
{
    char path[64];
    snprintf(path, sizeof path, "%s/.txkv_history", home);
    unlink(path);
    rmdir(home);
}

int main(int argc, char **argv)
{
    if (argc != 3 || mkdtemp(home) == NULL) {
        fprintf(stderr, "usage: test_prompt txkv-server txkv-cli\n");
        return 2;
    }
    server_path = argv[1];
    cli_path = argv[2];
    server = server_start(server_path, 0);
    static struct output output;
    char port[16];
    char set[] = "SET escape \x1b[2J\x07";
    snprintf(port, sizeof port, "%d", server.port);
    char *command[] = {cli_path, "-p", port, set, NULL};
    process_run(&output, command, "");
    int status = check_run(tests, sizeof tests / sizeof tests[0]);
    clean_up();
    return status;
}
