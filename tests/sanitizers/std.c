/* What `std` does out of ThreadSanitizer's sight, told to it.
 *
 * `std` comes compiled, without instrumentation: what is inlined into our code is seen, what is called is not. The
 * linker puts these functions in the place of those (`--wrap`); each calls the real one, and says what it ordered.
 * The symbols' mangled names differ from compiler to compiler: `.ci/sanitizers` finds them.
 */

#include <stdbool.h>
#include <stdint.h>

#define PASTED_AS_IS(one, other) one##other
#define PASTED(one, other) PASTED_AS_IS(one, other)
#define REAL(symbol) PASTED(__real_, symbol)
#define WRAP(symbol) PASTED(__wrap_, symbol)

void __tsan_acquire(void *address);
void __tsan_release(void *address);

/* `Mutex::lock` where another thread holds it. The unlock is seen, and releases this word. */
void REAL(MUTEX_LOCK)(void *mutex);
void WRAP(MUTEX_LOCK)(void *mutex)
{
    REAL(MUTEX_LOCK)(mutex);
    __tsan_acquire(mutex);
}

/* `Once::call`, of `OnceLock` and `LazyLock` too. What its closure did is to be released before the state says so,
 * so that the closure is wrapped: data and table of a `&mut dyn FnMut(&OnceState)`, whose `call_mut` is the fifth. */
struct closure {
    void *data;
    void *const *table;
    void *once;
};

static void call_and_release(struct closure *closure, void *state)
{
    ((void (*)(void *, void *))closure->table[4])(closure->data, state);
    __tsan_release(closure->once);
}

void REAL(ONCE_CALL)(void *once, bool poisoned_too, void *data, void *const *table, void *place);
void WRAP(ONCE_CALL)(void *once, bool poisoned_too, void *data, void *const *table, void *place)
{
    void *const ours[5] = {
        0, (void *)sizeof(struct closure), (void *)_Alignof(struct closure), 0, (void *)call_and_release,
    };
    struct closure closure = {data, table, once};
    REAL(ONCE_CALL)(once, poisoned_too, &closure, ours, place);
    __tsan_acquire(once);
}

/* `Arc` and `Weak` count down with a release, and the last one stands at a fence, which ThreadSanitizer does not
 * know: the one that counts from 1 to 0 acquires. */
uint64_t __real___tsan_atomic64_fetch_sub(volatile uint64_t *count, uint64_t less, int order);
uint64_t __wrap___tsan_atomic64_fetch_sub(volatile uint64_t *count, uint64_t less, int order)
{
    uint64_t before = __real___tsan_atomic64_fetch_sub(count, less, order);
    if (before == 1 && less == 1)
        __tsan_acquire((void *)count);
    return before;
}
