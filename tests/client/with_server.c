/* Runs a program beside a fresh server: with_server txkv-server program [argument]... The server's port is the
 * program's last argument. Exits as the program does. */
#include <stdlib.h>

#include "check.h"
#include "process.h"

int main(int argc, char **argv)
{
    static struct output output;
    if (argc < 3) {
        fprintf(stderr, "usage: with_server txkv-server program [argument]...\n");
        return 2;
    }
    struct server server = server_start(argv[1], 0);
    char port[16];
    snprintf(port, sizeof port, "%d", server.port);
    char **command = calloc((size_t)argc, sizeof *command);
    for (int i = 2; i < argc; i++) {
        command[i - 2] = argv[i];
    }
    command[argc - 2] = port;
    process_run(&output, command, "");
    free(command);
    printf("%s", output.out);
    fprintf(stderr, "%s", output.err);
    server_stop(&server);
    return check_failures > 0 ? 1 : output.status < 0 ? 1 : output.status;
}
