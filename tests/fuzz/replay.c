/* Replays the saved inputs of a fuzzer: replay DIRECTORY. An empty directory is a failure. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "fault.h"
#include "fuzz.h"

static int replay(const char *path)
{
    static uint8_t bytes[1 << 20];
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        return -1;
    }
    size_t size = fread(bytes, 1, sizeof(bytes), f);
    fclose(f);
    return LLVMFuzzerTestOneInput(bytes, size);
}

int main(int argc, char **argv)
{
    char path[4096];
    unsigned long count = 0;
    DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
    if (dir == NULL || fault_choose(getenv("TXKV_FAULT")) < 0) {
        fprintf(stderr, "usage: replay DIRECTORY\n");
        return 99;
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
        if (replay(path) < 0) {
            fprintf(stderr, "%s: not replayed\n", path);
            return 99;
        }
        count++;
    }
    closedir(dir);
    printf("%lu inputs replayed\n", count);
    return count > 0 ? 0 : 99;
}
