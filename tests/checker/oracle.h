/* Two judges that are slow and simple: the measure for the fast ones (verify.h). They share no code with them but the
 * history itself, and decide the same promises. */
#ifndef TXKV_CHECKER_ORACLE_H
#define TXKV_CHECKER_ORACLE_H

#include "history.h"

#define ORACLE_STEPS_MAX 30 /* of a history that is to be judged without numbers */

enum verdict { VERDICT_GOOD, VERDICT_ANOMALY, VERDICT_UNKNOWN };

/* By the numbers: every transaction is executed again, one operation at a time, on the states it should have seen. */
enum verdict oracle_numbered(const struct history *h);

/* Without numbers: tries all orders of the steps. VERDICT_UNKNOWN where there are too many. */
enum verdict oracle_search(const struct history *h);

#endif
