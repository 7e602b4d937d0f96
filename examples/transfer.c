/* Moves 10 coins from alice to bob, whatever others do to the two at the same time. Usage: transfer [port] */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <txkv.h>

static int transfer(struct txkv *c, void *ctx)
{
    int64_t coins = *(int64_t *)ctx, alice;
    int rc = txkv_incr(c, "alice", -coins, &alice);
    if (rc == TXKV_OK && alice < 0) {
        return 1; /* not enough: rolls back */
    }
    return rc == TXKV_OK ? txkv_incr(c, "bob", coins, NULL) : rc;
}

int main(int argc, char **argv)
{
    struct txkv *c;
    int64_t coins = 10;
    int rc = txkv_connect(&c, "127.0.0.1", argc > 1 ? atoi(argv[1]) : TXKV_PORT, 5000);
    if (rc == TXKV_OK && (rc = txkv_set(c, "alice", "25", 2)) == TXKV_OK) {
        while ((rc = txkv_transaction(c, TXKV_SERIALIZABLE, transfer, &coins, 10)) == TXKV_OK) {
            printf("moved %" PRId64 "\n", coins);
        }
    }
    printf("%s\n", rc == 1 ? "alice has not enough left" : txkv_errmsg(c));
    txkv_close(c);
    return rc == 1 ? 0 : 1;
}
