/* A password: what may be one, how a file holds it, and what is taken for it. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "secret.h"

static char longest[SECRET_MAX + 2];

static void fill(void)
{
    memset(longest, 'x', sizeof(longest) - 1);
}

Test(secret_set, takes_1_to_512_bytes, .init = fill)
{
    struct secret secret;
    cr_assert_eq(secret_set(&secret, slice_str("")), -1);
    cr_assert_eq(secret_set(&secret, slice_of(longest, SECRET_MAX + 1)), -1);
    cr_assert_eq(secret_set(&secret, slice_str("x")), 0);
    cr_assert_eq(secret_set(&secret, slice_of(longest, SECRET_MAX)), 0);
    cr_assert(secret_is(&secret, slice_of(longest, SECRET_MAX)));
    cr_assert_not(secret_is(&secret, slice_of(longest, SECRET_MAX + 1)));
    cr_assert_not(secret_is(&secret, slice_of(longest, SECRET_MAX - 1)));
}

Test(secret_is, the_same_bytes_and_no_others)
{
    struct secret secret;
    static const char *const others[] = {"", "s", "sesam", "sesame ", "Sesame", "tesame", "sesamf", " sesame"};
    cr_assert_eq(secret_set(&secret, slice_str("sesame")), 0);
    cr_assert(secret_is(&secret, slice_str("sesame")));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        cr_assert_not(secret_is(&secret, slice_str(others[i])), "'%s'", others[i]);
    }
    cr_assert_not(secret_is(&secret, slice_of(NULL, 0)));
    cr_assert_not(secret_is(&secret, slice_of("sesame\0", 7)));
    cr_assert_eq(secret_set(&secret, slice_of("\0", 1)), 0);
    cr_assert(secret_is(&secret, slice_of("\0", 1)));
    cr_assert_not(secret_is(&secret, slice_of("\0\0", 2)));
    cr_assert_not(secret_is(&secret, slice_of(NULL, 0)));
}

static int read_file(struct secret *secret, const char *bytes, size_t len, mode_t mode, char *why, size_t size)
{
    char path[] = "/tmp/txkv-secret-XXXXXX";
    int file = mkstemp(path);
    cr_assert(file >= 0 && write(file, bytes, len) == (ssize_t)len && fchmod(file, mode) == 0);
    close(file);
    int rc = secret_read(secret, path, why, size);
    unlink(path);
    return rc;
}

Test(secret_read, the_first_line, .init = fill)
{
    static const struct {
        const char *bytes;
        const char *password;
    } rows[] = {
        {"sesame", "sesame"}, {"sesame\n", "sesame"}, {"sesame\r\nmore", "sesame"}, {" a b \n", " a b "}, {"a\rb\n", "a\rb"}, {"a\r", "a\r"},
    };
    struct secret secret;
    char why[128];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cr_assert_eq(read_file(&secret, rows[i].bytes, strlen(rows[i].bytes), 0640, why, sizeof(why)), 0, "%s", why);
        cr_assert(secret_is(&secret, slice_str(rows[i].password)), "row %zu", i);
    }
    cr_assert_eq(read_file(&secret, longest, SECRET_MAX, 0600, why, sizeof(why)), 0);
    cr_assert_eq(read_file(&secret, longest, SECRET_MAX + 1, 0600, why, sizeof(why)), -1);
}

Test(secret_read, refuses_what_others_can_read_or_change)
{
    static const mode_t modes[] = {0604, 0602, 0601, 0644, 0666};
    struct secret secret;
    char why[128];
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        cr_assert_eq(read_file(&secret, "sesame\n", 7, modes[i], why, sizeof(why)), -1);
        cr_assert_not_null(strstr(why, "chmod o-rwx"));
    }
    cr_assert_eq(secret_read(&secret, "/nonexistent/file", why, sizeof(why)), -1);
    cr_assert_str_eq(why, "No such file or directory");
    cr_assert_eq(secret_read(&secret, "/", why, sizeof(why)), -1);
}
