/* txkv-cli: a command from the command line, or commands from standard input, to a server and its answers back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "once.h"
#include "prompt.h"
#include "script.h"
#include "secret.h"
#include "txkv.h"

/* The password to say, "" for none, from the file or the environment; false after a line on stderr. */
static bool find_password(const struct args *a, char password[SECRET_MAX + 1])
{
    char why[128];
    struct secret secret;
    const char *given = getenv("TXKV_PASSWORD");
    password[0] = '\0';
    if (a->password_file == NULL) {
        if (given != NULL && strlen(given) > SECRET_MAX) {
            fprintf(stderr, "txkv-cli: TXKV_PASSWORD has more than %d bytes\n", SECRET_MAX);
            return false;
        }
        snprintf(password, SECRET_MAX + 1, "%s", given == NULL ? "" : given);
        return true;
    }
    if (secret_read(&secret, a->password_file, why, sizeof(why)) < 0) {
        fprintf(stderr, "txkv-cli: --password-file %s: %s\n", a->password_file, why);
        return false;
    }
    memcpy(password, secret.bytes, secret.len);
    password[secret.len] = '\0';
    return true;
}

/* Connects, and says the password. */
static int open_connection(struct txkv **c, const struct args *a, const char *password)
{
    int rc = a->unix_path == NULL ? txkv_connect(c, a->host, a->port, a->timeout_ms)
                                  : txkv_connect_unix(c, a->unix_path, a->timeout_ms);
    return rc == TXKV_OK && password[0] != '\0' ? txkv_auth(*c, password) : rc;
}

/* The exit status for a connection that was not made. */
static int status_of(int rc)
{
    return rc == TXKV_ERR_ARG ? EXIT_USAGE : rc == TXKV_ERR_DENIED ? EXIT_ERR : EXIT_LOST;
}

static int run(struct txkv *c, const struct args *a)
{
    if (a->command_len > 0) {
        return once_run(c, a->command, a->command_len);
    }
    if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)) {
        return prompt_run(c);
    }
    return script_run(c, STDIN_FILENO);
}

int main(int argc, char **argv)
{
    struct args args;
    switch (args_parse(&args, argc, argv)) {
    case ARGS_DONE:
        return fflush(stdout) == 0 ? EXIT_ANSWERED : EXIT_ERR;
    case ARGS_WRONG:
        return EXIT_USAGE;
    case ARGS_RUN:
        break;
    }
    struct txkv *c;
    char password[SECRET_MAX + 1];
    if (!find_password(&args, password)) {
        return EXIT_USAGE;
    }
    int rc = open_connection(&c, &args, password);
    explicit_bzero(password, sizeof(password));
    int status = EXIT_LOST;
    if (rc == TXKV_OK) {
        status = run(c, &args);
    } else {
        fprintf(stderr, "txkv-cli: %s\n", txkv_errmsg(c));
        status = status_of(rc);
    }
    txkv_close(c);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "txkv-cli: the answers could not be written\n");
        status = status == EXIT_ANSWERED ? EXIT_ERR : status;
    }
    return status;
}
