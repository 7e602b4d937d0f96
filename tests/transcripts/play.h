/* play: plays a transcript on sessions of one engine and one tick, without sockets, and compares every answer.
 *
 * Consecutive steps of one client are a batch: what they send goes out together, cut into pieces as the play asks, and all
 * of it is answered before the next client's turn. */
#ifndef TXKV_PLAY_H
#define TXKV_PLAY_H

#include <stdint.h>

#include "coverage.h"
#include "transcript.h"

enum cut {
    CUT_WHOLE,  /* a batch arrives at once */
    CUT_BYTES,  /* byte by byte, a tick after each; the middle of a very long text in larger pieces */
    CUT_RANDOM, /* in pieces of random length, a tick after each */
};

enum played {
    PLAYED_AS_WRITTEN, /* every answer is the one that the transcript has */
    PLAYED_DIFFERENT,  /* one differs, is missing, or is one too many */
    PLAYED_NOT,        /* the transcript makes no sense, or there is no memory */
};

struct play_result {
    enum played played;
    unsigned line;           /* of the step that it failed at */
    const struct step *step; /* the assertion that failed, or NULL */
    char text[2048];         /* what was expected, and what came */
};

/* sent: CUT_BYTES notes in it which commands were sent. */
struct play_result play(const struct transcript *t, enum cut cut, uint64_t seed, struct coverage *sent);

#endif
