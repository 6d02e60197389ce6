/* Hung shutdown: the shutdown phase has not ended in time; who waits for whom, from the thread that
 * must go on first. */
#include "base/clock.h"
#include "detect/detect.h"
#include "registry/phase.h"
#include "registry/wait.h"

#define CHAIN_MOST 16
#define CHAIN_SHOWN 4 /* they must fit into a sentence */

static void write_of(struct text *text, thread_reference reference)
{
    struct actor actor = actor_of_reference(reference);
    write_thread(text, &actor);
}

static void write_wait(struct text *text, const struct waiting *waiting, uint64_t now)
{
    const struct thread_wait *note = &waiting->note;
    if (note->what == WAIT_THREAD) {
        text_add(text, " joins ");
        write_of(text, note->target);
        return;
    }
    if (note->what == WAIT_DESCRIPTOR) {
        text_format(text, " waits in %s() on descriptor %lu", note->function, note->address);
        return;
    }
    if (note->what == WAIT_DESCRIPTORS) {
        text_format(text, " waits in %s() on several descriptors", note->function);
        return;
    }
    if (waiting->lock != 0) {
        text_format(text, " waits in %s() for the %s at 0x%lx that ", note->function,
                    note->what == WAIT_RWLOCK ? "lock" : "mutex", waiting->lock);
        if (waiting->holder == 0) {
            text_add(text, note->what == WAIT_RWLOCK ? "others read"
                                                     : "no live thread of the process holds");
        } else {
            write_of(text, waiting->holder);
            text_add(text, " holds");
        }
        return;
    }
    if (note->what == WAIT_BARRIER) {
        text_format(text, " waits in %s() for others at the barrier at 0x%lx", note->function,
                    note->address);
        return;
    }
    text_format(text, " waits in %s() for a %s at 0x%lx that ", note->function,
                note->what == WAIT_SEMAPHORE ? "post of the semaphore"
                                             : "signal of the condition variable",
                note->address);
    if (waiting->signaller == 0) {
        text_add(text, "nobody has sent");
        return;
    }
    text_add(text, "does not come (the last was sent by ");
    write_of(text, waiting->signaller);
    text_format(text, " %lu ms before)",
                clock_nanoseconds_between(waiting->signal_ticks, now) / 1000000);
}

static void write_chain(struct text *text, const struct thread *thread, uint64_t now,
                        const char **advice)
{
    struct waiting chain[CHAIN_MOST];
    thread_reference threads[CHAIN_MOST];
    size_t cycle, count = wait_chain(thread, chain, threads, CHAIN_MOST, &cycle);
    bool waits = false;
    for (size_t i = 0; i < count; i++) {
        waits = chain[i].note.what != WAIT_NONE;
        if (i >= CHAIN_SHOWN || !waits)
            continue;
        if (i == 0)
            write_of(text, threads[i]);
        else
            text_add(text, ", which");
        write_wait(text, &chain[i], now);
    }
    if (count > CHAIN_SHOWN)
        text_add(text, ", and so on");
    if (cycle < count) {
        text_format(text, ": a cycle of %zu threads", count - cycle);
        *advice = "break the cycle: take the locks, or join the threads, in one order everywhere, "
                  "and join no thread while holding a lock that it needs";
    } else if (!waits) {
        if (count == 1)
            write_of(text, threads[0]);
        else
            text_add(text, ", which");
        text_add(text, " waits for no thread that is known");
        *advice = "make the last of these threads end: its stack says what it does";
    } else if (chain[count - 1].note.what == WAIT_DESCRIPTOR ||
               chain[count - 1].note.what == WAIT_DESCRIPTORS) {
        *advice = "wake the last of these threads: shutdown() of the socket, or a byte in a pipe "
                  "that it waits on, too";
    } else if (chain[count - 1].note.what == WAIT_BARRIER) {
        *advice =
            "let as many threads come to the barrier as it was made for, or let none wait there "
            "when the program ends";
    } else if (chain[count - 1].lock == 0 && chain[count - 1].note.what != WAIT_THREAD) {
        *advice = "send the signal that is missing: tell that thread to stop, under the mutex of "
                  "its condition variable, before it is waited for";
    } else {
        *advice = "see who should have let go: a thread that ended while it held the lock, or that "
                  "fork left in the parent, never will";
    }
}

void detect_hung_shutdown(struct finding *finding, const struct touch *touch, uint64_t seconds)
{
    finding_start(finding, KIND_HUNG_SHUTDOWN, touch);
    finding->with_picture = true;
    struct actor by = actor_of_reference(phase_thread());
    struct text text = sentence_of(finding), evidence = evidence_of(finding);
    text_format(&text, "the shutdown begun by %s in ", phase_sign());
    write_thread(&text, &by);
    text_format(&text, " has not ended after %lu s: ", seconds);
    if (touch->thread == NULL)
        text_add(&text, "no thread that is known waits");
    else
        write_chain(&text, touch->thread, finding->touch.ticks, &finding->advice);
    text_format(&evidence,
                "shutdown_timeout=%lu; each thread's own note of its call, the kernel's word that "
                "it sleeps there, and libc's record of who holds a lock",
                seconds);
}
