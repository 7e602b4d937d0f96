/* What a random client does next: one transaction, or a few commands outside one. The driver sends it to a server, the
 * simulator plays it against its own store. */
#ifndef TXKV_CHECKER_SCRIPT_H
#define TXKV_CHECKER_SCRIPT_H

#include "history.h"
#include "rng.h"

#define SCRIPT_STEPS_MAX 24

enum step_kind {
    STEP_BEGIN,
    STEP_READ,
    STEP_MGET, /* `count` keys from `key` on, in one command */
    STEP_EXISTS,
    STEP_COUNT,
    STEP_WRITE,      /* a new value */
    STEP_WRITE_BACK, /* the value that the client last read at this key: an equal one; a delete if it was absent */
    STEP_DELETE,
    STEP_FLUSH,
    STEP_IDLE,  /* do nothing until the others have finished `count` steps */
    STEP_ERROR, /* a wrong command, which makes the transaction fail */
    STEP_COMMIT,
    STEP_COMMIT_HALF_CLOSE, /* COMMIT and the end of the stream in one go; the answer still comes */
    STEP_COMMIT_UNHEARD,    /* COMMIT and close: the answer is lost */
    STEP_ROLLBACK,
    STEP_DROP, /* close in the middle */
};

struct step {
    uint8_t kind;
    uint8_t key;
    uint16_t count;
};

struct script {
    enum tx_mode mode; /* TX_AUTO: each step is a transaction of its own */
    struct step steps[SCRIPT_STEPS_MAX];
    size_t count;
    bool flushes;
    bool unheard; /* it ends with STEP_COMMIT_UNHEARD and has written the marker key before */
    bool named;   /* it is begun with an ID */
};

struct script_mix {
    uint32_t keys;       /* 0 .. keys-1 are used at random */
    uint32_t marker_key; /* for the transactions whose COMMIT goes unheard */
    bool equal_values;   /* write values that were written before */
    bool blind_writes;   /* write and delete keys that were not read */
    bool absences;       /* delete and flush */
    bool counts;         /* DBSIZE */
    bool losses;         /* rollbacks, errors, lost connections */
    bool marks;          /* what writes, writes the marker key too, so its client can find out what became of it */
    uint8_t ids_percent; /* of what does so has an ID */
    uint16_t idle_max;   /* 0: no idle transactions */
};

void script_make(struct script *s, const struct script_mix *mix, struct rng *rng);

#endif
