/* Lists of deadlines: in order of arming, so in order of expiry. */
#include <criterion/criterion.h>

#include "deadline.h"

enum { COUNT = 5 };

static struct deadline_list list;
static struct deadline d[COUNT];

static void set_up(void)
{
    list = (struct deadline_list){.after_ms = 100};
    memset(d, 0, sizeof(d));
}

TestSuite(deadline, .init = set_up);

/* Arms all, one each 10 ms from 1000 on. */
static void arm_all(void)
{
    for (uint64_t i = 0; i < COUNT; i++) {
        deadline_arm(&list, &d[i], 1000 + 10 * i);
    }
}

/* The list holds exactly these, by index, forwards and backwards. */
static void check(size_t count, const size_t *order)
{
    struct deadline *at = list.first;
    struct deadline *before = NULL;
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(at, &d[order[i]], "place %zu", i);
        cr_assert_eq(at->prev, before);
        cr_assert(at->armed);
        before = at;
        at = at->next;
    }
    cr_assert_null(at);
    cr_assert_eq(list.last, before);
}

/* --- deadline_arm --- */

Test(deadline, stand_in_order_of_arming)
{
    arm_all();
    check(COUNT, (const size_t[]){0, 1, 2, 3, 4});
}

Test(deadline, arming_twice_keeps_the_first_time_and_place)
{
    arm_all();
    deadline_arm(&list, &d[0], 5000);
    cr_assert_eq(d[0].since_ms, 1000u);
    check(COUNT, (const size_t[]){0, 1, 2, 3, 4});
}

Test(deadline, a_list_without_a_time_arms_nothing)
{
    list.after_ms = 0;
    deadline_arm(&list, &d[0], 1000);
    cr_assert_not(d[0].armed);
    check(0, NULL);
    cr_assert_null(deadline_pop(&list, UINT64_MAX));
}

/* --- deadline_disarm --- */

Test(deadline, can_leave_from_anywhere)
{
    arm_all();
    deadline_disarm(&list, &d[2]);
    check(4, (const size_t[]){0, 1, 3, 4});
    deadline_disarm(&list, &d[0]);
    check(3, (const size_t[]){1, 3, 4});
    deadline_disarm(&list, &d[4]);
    check(2, (const size_t[]){1, 3});
    deadline_disarm(&list, &d[1]);
    deadline_disarm(&list, &d[3]);
    check(0, NULL);
}

Test(deadline, disarming_what_is_not_armed_changes_nothing)
{
    deadline_disarm(&list, &d[0]);
    check(0, NULL);
    deadline_arm(&list, &d[1], 1000);
    deadline_disarm(&list, &d[0]);
    check(1, (const size_t[]){1});
}

Test(deadline, armed_again_stands_last_with_the_new_time)
{
    arm_all();
    deadline_disarm(&list, &d[1]);
    cr_assert_not(d[1].armed);
    deadline_arm(&list, &d[1], 2000);
    cr_assert_eq(d[1].since_ms, 2000u);
    check(COUNT, (const size_t[]){0, 2, 3, 4, 1});
}

/* --- deadline_pop --- */

Test(deadline, an_empty_list_has_nothing_to_pop)
{
    cr_assert_null(deadline_pop(&list, UINT64_MAX));
}

Test(deadline, expires_exactly_when_its_time_is_over)
{
    deadline_arm(&list, &d[0], 1000);
    cr_assert_null(deadline_pop(&list, 1000));
    cr_assert_null(deadline_pop(&list, 1099));
    cr_assert_eq(deadline_pop(&list, 1100), &d[0]);
    cr_assert_not(d[0].armed);
    check(0, NULL);
}

Test(deadline, pops_the_expired_ones_in_order_and_no_other)
{
    arm_all();
    cr_assert_eq(deadline_pop(&list, 1125), &d[0]);
    cr_assert_eq(deadline_pop(&list, 1125), &d[1]);
    cr_assert_eq(deadline_pop(&list, 1125), &d[2]);
    cr_assert_null(deadline_pop(&list, 1125));
    check(2, (const size_t[]){3, 4});
}

Test(deadline, one_that_was_disarmed_does_not_expire)
{
    arm_all();
    deadline_disarm(&list, &d[0]);
    cr_assert_eq(deadline_pop(&list, 9999), &d[1]);
}

Test(deadline, a_popped_one_can_be_armed_again)
{
    arm_all();
    cr_assert_eq(deadline_pop(&list, 1100), &d[0]);
    deadline_arm(&list, &d[0], 1100);
    check(COUNT, (const size_t[]){1, 2, 3, 4, 0});
}
