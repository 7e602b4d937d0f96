/* command_run: what the functions of the commands share, and their names for the table in command.c.
 *
 * A command's function does not know which protocol it answers: it gets a request, calls the store, and writes through the
 * session's protocol. */
#ifndef TXKV_COMMAND_RUN_H
#define TXKV_COMMAND_RUN_H

#include "session.h"

#define REDIS_VERSION "7.0.15" /* whose commands these are; clients choose by it what they send */

/* Answers an error of the store. */
void command_refuse(struct session *s, int err);

/* Answers OK, or the error of the store that rc is. */
void command_done(struct session *s, int rc);

/* Answers a number, or the error that rc is. */
void command_number(struct session *s, int rc, int64_t number);

/* Answers with text, a number, or as two answers a name and what belongs to it. */
void command_text(struct session *s, const char *text);
void command_integer(struct session *s, int64_t number);
void command_pair(struct session *s, const char *name, const char *text);

/* Answers an error in Redis's words, its code included, such as "ERR no such key"; format is printf's. */
void command_complain(struct session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define COMMAND_SHOWN 128 /* bytes that an error shows of a client's word, at most */

/* Makes the letters of a command's name small, in place. */
void command_small(char *name);

/* Answers an error about words that no error of the table names: "ERR syntax error". */
void command_complain_syntax(struct session *s);

/* Reads a word as a number; false after complaining. */
bool command_read_number(struct session *s, struct slice word, int64_t *number);

/* Takes what a client calls itself or its library into a field of the session; false after complaining, which names it by
 * `what`. */
bool command_take_name(struct session *s, struct slice name, const char *what, char **field);

#define COMMAND_CLIENT_NAMES "Client names"

/* The time of day, microseconds since 1970; 0 where nobody tells it. */
static inline int64_t command_wall_us(const struct engine *e)
{
    return e->wall_us == NULL ? 0 : e->wall_us();
}

/* Whether a word is this one, which is in capitals, in whatever case. */
bool command_is_word(struct slice word, const char *name);

/* A command that makes several changes runs between these: outside of a transaction they are one commit. scope_open says in
 * *own whether it opened one, which scope_close ends: by a commit, or where rc is an error without a trace. */
int command_scope_open(struct session *s, bool *own);
int command_scope_close(struct session *s, bool own, int rc);

/* One word of a command that has several meanings. */
struct subcommand {
    const char *name; /* in capitals */
    unsigned args_min;
    unsigned args_max;                                       /* behind it */
    void (*run)(struct session *s, const struct request *r); /* args[0] is its name */
};

/* Answers what its HELP says. */
void command_help_lines(struct session *s, const char *const *lines, size_t count);

/* Runs the one that args[0] names, or complains. */
void command_run_sub(struct session *s, const struct request *r, const struct subcommand *subs, size_t count);

/* What the words behind BEGIN say: [SERIALIZABLE|READONLY] [ID token]. */
struct begin_words {
    bool has_mode;
    bool has_token;
    enum txn_mode mode;
    struct slice token;
    bool wrong; /* a word that does not belong there, or ID without its token */
};

struct begin_words command_read_begin(const struct request *r);

/* Whether what runs was queued: nobody else runs before EXEC is done, so long commands have a budget for all of them. */
static inline bool command_is_in_exec(const struct session *s)
{
    return s->scope != NULL && s->multi != NULL;
}

/* How much of it is left; in EXEC alone. */
static inline uint64_t command_steps_left(const struct session *s)
{
    return s->multi->scanned < MULTI_STEPS_MAX ? MULTI_STEPS_MAX - s->multi->scanned : 0;
}

#define COMMAND_FUNCTION(name) void name(struct session *s, const struct request *r)

/* command_strings.c */
COMMAND_FUNCTION(run_get);
COMMAND_FUNCTION(run_set);
COMMAND_FUNCTION(run_mget);
COMMAND_FUNCTION(run_incr);
COMMAND_FUNCTION(run_setnx);
COMMAND_FUNCTION(run_getset);
COMMAND_FUNCTION(run_getdel);
COMMAND_FUNCTION(run_mset);
COMMAND_FUNCTION(run_msetnx);
COMMAND_FUNCTION(run_append);
COMMAND_FUNCTION(run_strlen);
COMMAND_FUNCTION(run_getrange);
COMMAND_FUNCTION(run_setrange);
COMMAND_FUNCTION(run_incrby);
COMMAND_FUNCTION(run_decr);
COMMAND_FUNCTION(run_decrby);
COMMAND_FUNCTION(run_incrbyfloat);

/* command_lcs.c */
COMMAND_FUNCTION(run_lcs);

/* command_keys.c */
COMMAND_FUNCTION(run_del);
COMMAND_FUNCTION(run_exists);
COMMAND_FUNCTION(run_dbsize);
COMMAND_FUNCTION(run_flush);
COMMAND_FUNCTION(run_del_keys);
COMMAND_FUNCTION(run_exists_keys);
COMMAND_FUNCTION(run_type);
COMMAND_FUNCTION(run_flushall);
COMMAND_FUNCTION(run_rename);
COMMAND_FUNCTION(run_renamenx);
COMMAND_FUNCTION(run_copy);

/* command_time.c */
COMMAND_FUNCTION(run_set_options);
COMMAND_FUNCTION(run_setex);
COMMAND_FUNCTION(run_psetex);
COMMAND_FUNCTION(run_getex);
COMMAND_FUNCTION(run_persist);
COMMAND_FUNCTION(run_expire);
COMMAND_FUNCTION(run_pexpire);
COMMAND_FUNCTION(run_expireat);
COMMAND_FUNCTION(run_pexpireat);
COMMAND_FUNCTION(run_ttl);
COMMAND_FUNCTION(run_pttl);
COMMAND_FUNCTION(run_expiretime);
COMMAND_FUNCTION(run_pexpiretime);

/* command_scan.c */
COMMAND_FUNCTION(run_scan);
COMMAND_FUNCTION(run_keys);
COMMAND_FUNCTION(run_keys_prefix);
COMMAND_FUNCTION(run_randomkey);
COMMAND_FUNCTION(run_memory);

/* command_multi.c */
COMMAND_FUNCTION(run_multi);
COMMAND_FUNCTION(run_exec);
COMMAND_FUNCTION(run_discard);
COMMAND_FUNCTION(run_watch);
COMMAND_FUNCTION(run_unwatch);

/* command_txn.c */
COMMAND_FUNCTION(run_begin);
COMMAND_FUNCTION(run_commit);
COMMAND_FUNCTION(run_rollback);
COMMAND_FUNCTION(run_outcome);

/* command_connection.c */
COMMAND_FUNCTION(run_echo);
COMMAND_FUNCTION(run_ping_message);
COMMAND_FUNCTION(run_select);
COMMAND_FUNCTION(run_quit_ok);
COMMAND_FUNCTION(run_reset);
COMMAND_FUNCTION(run_auth);
COMMAND_FUNCTION(run_auth_line);
COMMAND_FUNCTION(run_hello);

/* command_client.c */
COMMAND_FUNCTION(run_client);

/* command_docs.c */
COMMAND_FUNCTION(run_command);
COMMAND_FUNCTION(run_help);

/* command_info.c */
COMMAND_FUNCTION(run_info);
COMMAND_FUNCTION(run_config);

/* command_server.c */
COMMAND_FUNCTION(run_checkpoint);
COMMAND_FUNCTION(run_backup);
COMMAND_FUNCTION(run_ping);
COMMAND_FUNCTION(run_quit);
COMMAND_FUNCTION(run_time);
COMMAND_FUNCTION(run_lastsave);
COMMAND_FUNCTION(run_wait);
COMMAND_FUNCTION(run_function);
#ifdef TXKV_FAULTS
COMMAND_FUNCTION(run_lastseq);
COMMAND_FUNCTION(run_snapshot);
COMMAND_FUNCTION(run_debug);
#endif

#endif
