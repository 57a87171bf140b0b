/* Reports to ThreadSanitizer the synchronisation in `std` that it cannot see.
 *
 * `std` is precompiled without instrumentation: ThreadSanitizer sees code that is inlined into ours, but not calls.
 * The linker replaces those functions by these (`--wrap`). Each calls the real one and reports its ordering. The
 * mangled names of the symbols differ between compilers: `.ci/sanitizers` finds them.
 */

#include <stdbool.h>
#include <stdint.h>

#define PASTED_AS_IS(one, other) one##other
#define PASTED(one, other) PASTED_AS_IS(one, other)
#define REAL(symbol) PASTED(__real_, symbol)
#define WRAP(symbol) PASTED(__wrap_, symbol)

void __tsan_acquire(void *address);
void __tsan_release(void *address);

/* `Mutex::lock` on the contended path. The unlock is visible, and releases this word. */
void REAL(MUTEX_LOCK)(void *mutex);
void WRAP(MUTEX_LOCK)(void *mutex)
{
    REAL(MUTEX_LOCK)(mutex);
    __tsan_acquire(mutex);
}

/* `Once::call`, also of `OnceLock` and `LazyLock`. The effects of its closure must be released before the state
 * changes, so the closure is wrapped: data and table of a `&mut dyn FnMut(&OnceState)`, with `call_mut` as fifth entry. */
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

/* `Arc` and `Weak` decrement with a release, followed by a fence at zero, which ThreadSanitizer does not support: the
 * decrement from 1 to 0 acquires instead. */
uint64_t __real___tsan_atomic64_fetch_sub(volatile uint64_t *count, uint64_t less, int order);
uint64_t __wrap___tsan_atomic64_fetch_sub(volatile uint64_t *count, uint64_t less, int order)
{
    uint64_t before = __real___tsan_atomic64_fetch_sub(count, less, order);
    if (before == 1 && less == 1)
        __tsan_acquire((void *)count);
    return before;
}
