#include "keys.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ZETA_EXACT 100000 /* terms added one by one; the rest by Euler and Maclaurin, exact to 12 digits */
#define LATEST_THETA 0.99

/* ":" and a number from above 0 up to 1; moves *text behind it. */
static int take_share(const char **text, double *share)
{
    char *end;
    if (**text != ':') {
        return -1;
    }
    *share = strtod(*text + 1, &end);
    bool good = end != *text + 1 && *share > 0 && *share <= 1;
    *text = end;
    return good ? 0 : -1;
}

int keys_parse(struct keys_choice *choice, const char *text)
{
    static const struct {
        const char *name;
        enum keys_dist dist;
        unsigned numbers;
    } known[] = {{"uniform", KEYS_UNIFORM, 0},
                 {"sequential", KEYS_SEQUENTIAL, 0},
                 {"zipf", KEYS_ZIPF, 1},
                 {"latest", KEYS_LATEST, 0},
                 {"hotset", KEYS_HOTSET, 2}};
    size_t len = strcspn(text, ":");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        double numbers[2] = {LATEST_THETA, 0};
        if (strlen(known[i].name) != len || memcmp(known[i].name, text, len) != 0) {
            continue;
        }
        text += len;
        for (unsigned n = 0; n < known[i].numbers; n++) {
            if (take_share(&text, &numbers[n]) != 0) {
                return -1;
            }
        }
        *choice = (struct keys_choice){known[i].dist, numbers[0], numbers[0], numbers[1]};
        return *text != '\0' || (known[i].dist == KEYS_ZIPF && numbers[0] >= 1) ? -1 : 0;
    }
    return -1;
}

static double zeta(uint64_t n, double theta)
{
    double sum = 0;
    double m = n < ZETA_EXACT ? (double)n : ZETA_EXACT;
    for (double r = 1; r <= m; r++) {
        sum += pow(r, -theta);
    }
    if (n <= ZETA_EXACT) {
        return sum;
    }
    double top = (double)n;
    double integral = (pow(top, 1 - theta) - pow(m, 1 - theta)) / (1 - theta);
    double ends = (pow(top, -theta) - pow(m, -theta)) / 2;
    return sum + integral + ends + theta / 12 * (pow(m, -theta - 1) - pow(top, -theta - 1));
}

static void zipf_init(struct keys *k, double theta)
{
    double n = (double)k->count;
    k->zeta = zeta(k->count, theta);
    k->second = 1 + pow(0.5, theta);
    double eta = k->count <= 2 ? 1 : (1 - pow(2 / n, 1 - theta)) / (1 - k->second / k->zeta);
    for (unsigned i = 0; i <= KEYS_KNOTS; i++) {
        double base = eta * i / KEYS_KNOTS - eta + 1;
        k->knots[i] = n * pow(base < 0 ? 0 : base, 1 / (1 - theta));
    }
}

void keys_init(struct keys *k, const struct keys_choice *choice, uint64_t count, uint64_t seed)
{
    *k = (struct keys){.dist = choice->dist, .count = count, .rng = {seed}, .hot_requests = choice->hot_requests};
    unsigned bits = 1;
    while (bits < 63 && UINT64_C(1) << bits < count) {
        bits++;
    }
    k->mask = (UINT64_C(1) << bits) - 1;
    k->shift = (bits + 1) / 2;
    if (k->dist == KEYS_ZIPF || k->dist == KEYS_LATEST) {
        zipf_init(k, choice->theta);
    }
    if (k->dist == KEYS_LATEST) {
        k->next = count - 1;
    }
    k->hot = (uint64_t)llround(choice->hot_keys * (double)count);
    k->hot = k->hot < 1 ? 1 : k->hot > count ? count : k->hot;
}

/* Multiplying by an odd number and folding the upper bits down are bijections of the numbers up to the mask; a number
 * that falls beyond the keys goes round again. */
uint64_t keys_scatter(const struct keys *k, uint64_t r)
{
    do {
        r = (r + UINT64_C(0x2545f4914f6cdd1d)) * UINT64_C(0x9e3779b97f4a7c15) & k->mask;
        r ^= r >> k->shift;
        r = r * UINT64_C(0xbf58476d1ce4e5b9) & k->mask;
        r ^= r >> k->shift;
    } while (r >= k->count);
    return r;
}

static uint64_t zipf_rank(struct keys *k)
{
    double u = rng_unit(&k->rng);
    double uz = u * k->zeta;
    if (uz < 1 || k->count == 1) {
        return 0;
    }
    if (uz < k->second || k->count == 2) {
        return 1;
    }
    double place = u * KEYS_KNOTS;
    unsigned i = (unsigned)place;
    uint64_t rank = (uint64_t)(k->knots[i] + (place - i) * (k->knots[i + 1] - k->knots[i]));
    return rank < k->count ? rank : k->count - 1;
}

static uint64_t hotset_rank(struct keys *k)
{
    bool hot = k->hot == k->count || rng_unit(&k->rng) < k->hot_requests;
    return hot ? rng_below(&k->rng, k->hot) : k->hot + rng_below(&k->rng, k->count - k->hot);
}

static uint64_t step(struct keys *k)
{
    uint64_t n = k->next;
    k->next = n + 1 == k->count ? 0 : n + 1;
    return n;
}

static uint64_t latest(struct keys *k, bool set)
{
    if (set) {
        (void)step(k);
        return k->next;
    }
    uint64_t distance = zipf_rank(k);
    return k->next >= distance ? k->next - distance : k->next + k->count - distance;
}

uint64_t keys_draw(struct keys *k, bool set)
{
    switch (k->dist) {
    case KEYS_SEQUENTIAL:
        return step(k);
    case KEYS_ZIPF:
        return keys_scatter(k, zipf_rank(k));
    case KEYS_LATEST:
        return latest(k, set);
    case KEYS_HOTSET:
        return keys_scatter(k, hotset_rank(k));
    default:
        return rng_below(&k->rng, k->count);
    }
}
