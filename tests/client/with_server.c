/* Runs a program beside a fresh server, and exits as the program does:
 *
 *      with_server [--data] txkv-server program [argument]...
 *
 * The server's port is the program's last argument. What the program writes to its standard output is shown, but for a line
 * "restart": the server is killed then and started again on the same port, and the program gets a line "restarted" on its
 * standard input. With --data, and so with what it had on disk. */
#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "process.h"

static char directory[] = "/tmp/txkv-with-server-XXXXXX"; /* the server's data */

struct beside {
    const char *path;       /* of the server */
    const char *options[3]; /* ended by NULL */
    struct server server;
};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

static void remove_directory(void)
{
    nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void begin(struct beside *b, bool on_data)
{
    if (on_data) {
        if (mkdtemp(directory) == NULL) {
            perror(directory);
            exit(1);
        }
        atexit(remove_directory); /* where no server starts, too */
        b->options[0] = "--data";
        b->options[1] = directory;
    }
    b->server = server_start_with(b->path, 0, b->options);
}

/* Until the program has closed its standard output. */
static void attend(struct beside *b, struct process *program)
{
    char line[4096];
    while (fgets(line, sizeof line, program->from) != NULL) {
        if (strcmp(line, "restart\n") == 0) {
            server_kill(&b->server);
            b->server = server_start_with(b->path, b->server.port, b->options);
            fputs("restarted\n", program->to);
            fflush(program->to);
        } else {
            fputs(line, stdout);
            fflush(stdout);
        }
    }
}

int main(int argc, char **argv)
{
    bool on_data = argc > 1 && strcmp(argv[1], "--data") == 0;
    int first = on_data ? 2 : 1;
    if (argc < first + 2) {
        fprintf(stderr, "usage: with_server [--data] txkv-server program [argument]...\n");
        return 2;
    }
    struct beside beside = {.path = argv[first]};
    begin(&beside, on_data);
    int count = argc - first - 1;
    char port[16];
    snprintf(port, sizeof port, "%d", beside.server.port);
    char **command = calloc((size_t)count + 2, sizeof *command);
    memcpy(command, argv + first + 1, (size_t)count * sizeof *command);
    command[count] = port;
    struct process program = process_start(command);
    attend(&beside, &program);
    int status = process_end(&program);
    free(command);
    server_stop(&beside.server);
    return check_failures > 0 || status < 0 ? 1 : status;
}
