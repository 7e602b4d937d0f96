#include "script.h"

/* Steps that a script still has room for after them: what ends it. */
#define SCRIPT_RESERVE 4

static void add(struct script *s, enum step_kind kind, uint32_t key, uint32_t count)
{
    s->steps[s->count++] = (struct step){(uint8_t)kind, (uint8_t)key, (uint16_t)count};
}

static bool touched_before(const struct script *s, uint32_t key)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct step *step = &s->steps[i];
        if (step->kind == STEP_FLUSH || (step->kind >= STEP_WRITE && step->kind <= STEP_DELETE && step->key == key) ||
            (step->kind == STEP_READ && step->key == key)) {
            return true;
        }
    }
    return false;
}

static void add_write(struct script *s, const struct script_mix *mix, enum step_kind kind, uint32_t key)
{
    if (!mix->blind_writes && !touched_before(s, key)) {
        add(s, STEP_READ, key, 0);
    }
    add(s, kind, key, 0);
}

static void add_read(struct script *s, const struct script_mix *mix, struct rng *rng, uint32_t key)
{
    uint32_t dice = rng_below(rng, 100);
    if (dice < 12) {
        add(s, STEP_MGET, key, 2 + rng_below(rng, 2));
    } else if (dice < 20) {
        add(s, STEP_EXISTS, key, 0);
    } else if (dice < 23 && mix->counts) {
        add(s, STEP_COUNT, 0, 0);
    } else {
        add(s, STEP_READ, key, 0);
    }
}

static void add_change(struct script *s, const struct script_mix *mix, struct rng *rng, uint32_t key)
{
    uint32_t dice = rng_below(rng, 100);
    if (dice < 1 && mix->absences && mix->blind_writes) {
        add(s, STEP_FLUSH, 0, 0);
        s->flushes = true;
    } else if (dice < 20 && mix->absences) {
        add_write(s, mix, STEP_DELETE, key);
    } else if (dice < 30 && mix->equal_values) {
        add_write(s, mix, STEP_WRITE_BACK, key);
    } else {
        add_write(s, mix, STEP_WRITE, key);
    }
}

/* Changes a key and puts back what was there: nothing but the version tells. */
static void add_there_and_back(struct script *s, struct rng *rng, uint32_t key)
{
    add(s, STEP_READ, key, 0);
    add(s, rng_chance(rng, 50) ? STEP_DELETE : STEP_WRITE, key, 0);
    add(s, STEP_WRITE_BACK, key, 0);
}

static void script_auto(struct script *s, const struct script_mix *mix, struct rng *rng)
{
    s->mode = TX_AUTO;
    uint32_t key = rng_below(rng, mix->keys);
    if (mix->equal_values && rng_chance(rng, 30)) {
        add_there_and_back(s, rng, key);
        return;
    }
    for (uint32_t n = 1 + rng_below(rng, 3); n > 0; n--) {
        /* Without blind writes there are none outside transactions either: nothing ties them to what they replace. */
        if (mix->blind_writes && rng_chance(rng, 50)) {
            add_change(s, mix, rng, key);
        } else {
            add_read(s, mix, rng, key);
        }
        key = rng_below(rng, mix->keys);
    }
}

static void script_body(struct script *s, const struct script_mix *mix, struct rng *rng)
{
    /* A transaction keeps to a few neighbouring keys, so that some of them succeed. */
    uint32_t base = rng_below(rng, mix->keys), span = 1 + rng_below(rng, 3);
    size_t steps = 2 + rng_below(rng, 5);
    if (mix->equal_values && s->mode != TX_READONLY && rng_chance(rng, 8)) {
        add_there_and_back(s, rng, base);
    }
    bool idles = mix->idle_max && rng_chance(rng, 4);
    for (size_t i = 0; i < steps && s->count < SCRIPT_STEPS_MAX - SCRIPT_RESERVE; i++) {
        uint32_t key = (base + rng_below(rng, span)) % mix->keys;
        if (s->mode == TX_READONLY || rng_chance(rng, 58)) {
            add_read(s, mix, rng, key);
        } else {
            add_change(s, mix, rng, key);
        }
        if (idles && rng_chance(rng, 40)) {
            add(s, STEP_IDLE, 0, 1 + rng_below(rng, mix->idle_max));
        }
    }
}

static bool writes(const struct script *s)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->steps[i].kind >= STEP_WRITE && s->steps[i].kind <= STEP_FLUSH) {
            return true;
        }
    }
    return false;
}

static void script_end(struct script *s, const struct script_mix *mix, struct rng *rng)
{
    uint32_t dice = mix->losses ? rng_below(rng, 1000) : 999;
    if (mix->marks && writes(s)) {
        add(s, STEP_WRITE, mix->marker_key, 0);
        s->named = rng_chance(rng, mix->ids_percent);
    }
    if (dice < 60) {
        add(s, STEP_ROLLBACK, 0, 0);
    } else if (dice < 75) {
        add(s, STEP_DROP, 0, 0);
    } else if (dice < 90) {
        add(s, STEP_ERROR, 0, 0);
        add(s, STEP_COMMIT, 0, 0);
    } else if (dice < 100) {
        add(s, STEP_COMMIT_HALF_CLOSE, 0, 0);
    } else if (dice < 120 && s->mode == TX_PLAIN && !s->flushes) {
        /* Plain ones alone, which cannot be refused: so the marker will appear, and says that the commit was done. */
        add(s, STEP_WRITE, mix->marker_key, 0);
        add(s, STEP_COMMIT_UNHEARD, 0, 0);
        s->unheard = true;
    } else {
        add(s, STEP_COMMIT, 0, 0);
    }
}

void script_make(struct script *s, const struct script_mix *mix, struct rng *rng)
{
    *s = (struct script){0};
    uint32_t dice = rng_below(rng, 100);
    if (dice < 15) {
        script_auto(s, mix, rng);
        return;
    }
    if (dice < 35) {
        s->mode = TX_READONLY;
    } else if (dice < 50 && mix->blind_writes) {
        s->mode = TX_PLAIN; /* its writes are blind whatever it read */
    } else {
        s->mode = TX_SERIALIZABLE;
    }
    add(s, STEP_BEGIN, 0, 0);
    script_body(s, mix, rng);
    script_end(s, mix, rng);
}
