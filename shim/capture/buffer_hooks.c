/* Buffer hooks: calls that hand memory to the kernel. The kernel does not trap on dead memory: it
 * waits, fails with EFAULT, or stops short. So a buffer is looked up before the call, and again
 * where the kernel could not go on: it may have died meanwhile. What was sent out of a freed block
 * is asked after the call, when the memory is known to be readable. */
#include "capture/real.h"
#include "capture/signals.h"

#include "base/memory.h"
#include "base/probe.h"
#include "event/descriptor.h"
#include "heap/arena.h"

static void ask(const void *address, const char *function, struct caller caller)
{
    int saved = errno;
    if (arena_contains(address) || static_object_may_hold(address) ||
        thread_stack_is_dead((uintptr_t)address))
        event_buffer(address, function, caller);
    errno = saved;
}

static inline __attribute__((always_inline)) void before(const void *buffer, size_t size,
                                                         const char *function, struct caller caller)
{
    event_waited();
    if (__builtin_expect(size > 0 && (arena_contains(buffer) || static_object_may_hold(buffer)), 0))
        ask(buffer, function, caller);
}

/* The first byte that the kernel did not reach. Memory is taken away by whole pages, so that a call
 * which stopped anywhere else just had no more to do. */
static inline void after(const void *buffer, size_t size, ssize_t done, const char *function,
                         struct caller caller)
{
    if (__builtin_expect(done < 0, 0)) {
        if (errno == EFAULT)
            ask(buffer, function, caller);
    } else if (__builtin_expect(
                   (size_t)done < size && ((uintptr_t)buffer + (size_t)done) % PAGE_SIZE == 0, 0)) {
        ask((const char *)buffer + done, function, caller);
    }
}

static inline void after_sending(const void *buffer, size_t size, ssize_t done,
                                 const char *function, struct caller caller)
{
    after(buffer, size, done, function, caller);
    if (done > 0 && guard_active)
        event_sent(buffer, (size_t)done, function, caller);
}

static void after_vector(const struct iovec *vector, size_t count, ssize_t done, bool sending,
                         const char *function, struct caller caller)
{
    if (done < 0 && errno != EFAULT)
        return;
    size_t rest = done < 0 ? 0 : (size_t)done;
    for (size_t i = 0; i < count; i++) {
        uint64_t base, length; /* EFAULT: or the vector itself cannot be read */
        if (!probe_word(&vector[i].iov_base, &base) || !probe_word(&vector[i].iov_len, &length))
            return;
        const char *start = (const char *)(uintptr_t)base;
        if (sending && rest >= length && rest > 0)
            event_sent(start, length, function, caller);
        if (rest < length) {
            ask(start + rest, function, caller);
            if (done >= 0)
                return;
            continue; /* EFAULT: any of them may be the dead one */
        }
        rest -= length;
    }
}

static void after_message(const struct msghdr *message, ssize_t done, bool sending,
                          const char *function, struct caller caller)
{
    uint64_t vector, count;
    if (guard_active && probe_word(&message->msg_iov, &vector) &&
        probe_word(&message->msg_iovlen, &count))
        after_vector((const struct iovec *)(uintptr_t)vector, count, done, sending, function,
                     caller);
}

/* What was sent may have been all the other side waited for, to close this one. */
#define WAITS_after true
#define WAITS_after_sending false

#define BUFFER_HOOK(name, parameters, arguments, check)                                            \
    EXPORT ssize_t name parameters                                                                 \
    {                                                                                              \
        real_need();                                                                               \
        before(buffer, size, #name, CALLER_HERE());                                                \
        struct descriptor_use use = event_use_begin(descriptor, #name, CALLER_HERE());             \
        ssize_t done = real.name arguments;                                                        \
        event_use_end(&use, done < 0, WAITS_##check, #name, CALLER_HERE());                        \
        check(buffer, size, done, #name, CALLER_HERE());                                           \
        return done;                                                                               \
    }

EXPORT ssize_t read(int descriptor, void *buffer, size_t size)
{
    real_need();
    if (__builtin_expect(size == 1, 0) &&
        stack_is_unwinder((uintptr_t)__builtin_return_address(0))) {
        errno = EAGAIN; /* its pipe is empty */
        return -1;
    }
    before(buffer, size, "read", CALLER_HERE());
    struct descriptor_use use = event_use_begin(descriptor, "read", CALLER_HERE());
    ssize_t done = real.read(descriptor, buffer, size);
    event_use_end(&use, done < 0, true, "read", CALLER_HERE());
    after(buffer, size, done, "read", CALLER_HERE());
    if (__builtin_expect(signals_descriptor(descriptor), 0) && done > 0)
        signals_read(buffer, (size_t)done);
    return done;
}

BUFFER_HOOK(pread, (int descriptor, void *buffer, size_t size, off_t offset),
            (descriptor, buffer, size, offset), after)
BUFFER_HOOK(pread64, (int descriptor, void *buffer, size_t size, off64_t offset),
            (descriptor, buffer, size, offset), after)
BUFFER_HOOK(recv, (int descriptor, void *buffer, size_t size, int flags),
            (descriptor, buffer, size, flags), after)
BUFFER_HOOK(recvfrom,
            (int descriptor, void *buffer, size_t size, int flags, struct sockaddr *address,
             socklen_t *length),
            (descriptor, buffer, size, flags, address, length), after)
EXPORT ssize_t write(int descriptor, const void *buffer, size_t size)
{
    real_need();
    if (__builtin_expect(size == 1, 0) && stack_is_unwinder((uintptr_t)__builtin_return_address(0)))
        return stack_probe(buffer);
    before(buffer, size, "write", CALLER_HERE());
    struct descriptor_use use = event_use_begin(descriptor, "write", CALLER_HERE());
    ssize_t done = real.write(descriptor, buffer, size);
    event_use_end(&use, done < 0, false, "write", CALLER_HERE());
    after_sending(buffer, size, done, "write", CALLER_HERE());
    return done;
}
BUFFER_HOOK(pwrite, (int descriptor, const void *buffer, size_t size, off_t offset),
            (descriptor, buffer, size, offset), after_sending)
BUFFER_HOOK(pwrite64, (int descriptor, const void *buffer, size_t size, off64_t offset),
            (descriptor, buffer, size, offset), after_sending)
BUFFER_HOOK(send, (int descriptor, const void *buffer, size_t size, int flags),
            (descriptor, buffer, size, flags), after_sending)
BUFFER_HOOK(sendto,
            (int descriptor, const void *buffer, size_t size, int flags,
             const struct sockaddr *address, socklen_t length),
            (descriptor, buffer, size, flags, address, length), after_sending)
/* The fortified forms (Linux Standard Base, __read_chk and its kin). */
BUFFER_HOOK(__read_chk, (int descriptor, void *buffer, size_t size, size_t room),
            (descriptor, buffer, size, room), after)
BUFFER_HOOK(__pread_chk, (int descriptor, void *buffer, size_t size, off_t offset, size_t room),
            (descriptor, buffer, size, offset, room), after)
BUFFER_HOOK(__pread64_chk, (int descriptor, void *buffer, size_t size, off_t offset, size_t room),
            (descriptor, buffer, size, offset, room), after)
BUFFER_HOOK(__recv_chk, (int descriptor, void *buffer, size_t size, size_t room, int flags),
            (descriptor, buffer, size, room, flags), after)
BUFFER_HOOK(__recvfrom_chk,
            (int descriptor, void *buffer, size_t size, size_t room, int flags,
             struct sockaddr *address, socklen_t *length),
            (descriptor, buffer, size, room, flags, address, length), after)

#define VECTOR_HOOK(name, parameters, arguments, sending)                                          \
    EXPORT ssize_t name parameters                                                                 \
    {                                                                                              \
        real_need();                                                                               \
        event_waited();                                                                            \
        struct descriptor_use use = event_use_begin(descriptor, #name, CALLER_HERE());             \
        ssize_t done = real.name arguments;                                                        \
        event_use_end(&use, done < 0, !(sending), #name, CALLER_HERE());                           \
        if (guard_active)                                                                          \
            after_vector(vector, (size_t)count, done, sending, #name, CALLER_HERE());              \
        return done;                                                                               \
    }

VECTOR_HOOK(readv, (int descriptor, const struct iovec *vector, int count),
            (descriptor, vector, count), false)
VECTOR_HOOK(preadv, (int descriptor, const struct iovec *vector, int count, off_t offset),
            (descriptor, vector, count, offset), false)
VECTOR_HOOK(preadv64, (int descriptor, const struct iovec *vector, int count, off64_t offset),
            (descriptor, vector, count, offset), false)
VECTOR_HOOK(preadv2,
            (int descriptor, const struct iovec *vector, int count, off_t offset, int flags),
            (descriptor, vector, count, offset, flags), false)
VECTOR_HOOK(preadv64v2,
            (int descriptor, const struct iovec *vector, int count, off64_t offset, int flags),
            (descriptor, vector, count, offset, flags), false)
VECTOR_HOOK(pwritev2,
            (int descriptor, const struct iovec *vector, int count, off_t offset, int flags),
            (descriptor, vector, count, offset, flags), true)
VECTOR_HOOK(pwritev64v2,
            (int descriptor, const struct iovec *vector, int count, off64_t offset, int flags),
            (descriptor, vector, count, offset, flags), true)
VECTOR_HOOK(writev, (int descriptor, const struct iovec *vector, int count),
            (descriptor, vector, count), true)
VECTOR_HOOK(pwritev, (int descriptor, const struct iovec *vector, int count, off_t offset),
            (descriptor, vector, count, offset), true)
VECTOR_HOOK(pwritev64, (int descriptor, const struct iovec *vector, int count, off64_t offset),
            (descriptor, vector, count, offset), true)

/* What came along with a message (unix(7), SCM_RIGHTS). */
static void received(struct msghdr *message, struct caller caller)
{
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL;
         part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS ||
            part->cmsg_len < CMSG_LEN(0))
            continue;
        for (size_t at = 0; at + sizeof(int) <= part->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
            int number;
            __builtin_memcpy(&number, CMSG_DATA(part) + at, sizeof number);
            event_opened(number, "recvmsg", caller);
        }
    }
}

EXPORT ssize_t recvmsg(int descriptor, struct msghdr *message, int flags)
{
    real_need();
    event_waited();
    struct descriptor_use use = event_use_begin(descriptor, "recvmsg", CALLER_HERE());
    ssize_t done = real.recvmsg(descriptor, message, flags);
    event_use_end(&use, done < 0, true, "recvmsg", CALLER_HERE());
    if (__builtin_expect(done >= 0 && message->msg_controllen > 0, 0))
        received(message, CALLER_HERE());
    after_message(message, done, false, "recvmsg", CALLER_HERE());
    return done;
}

EXPORT ssize_t sendmsg(int descriptor, const struct msghdr *message, int flags)
{
    real_need();
    event_waited();
    struct descriptor_use use = event_use_begin(descriptor, "sendmsg", CALLER_HERE());
    ssize_t done = real.sendmsg(descriptor, message, flags);
    event_use_end(&use, done < 0, false, "sendmsg", CALLER_HERE());
    after_message(message, done, true, "sendmsg", CALLER_HERE());
    return done;
}

#define MESSAGES_HOOK(name, parameters, arguments, waits)                                          \
    EXPORT int name parameters                                                                     \
    {                                                                                              \
        real_need();                                                                               \
        event_waited();                                                                            \
        struct descriptor_use use = event_use_begin(descriptor, #name, CALLER_HERE());             \
        int done = real.name arguments;                                                            \
        event_use_end(&use, done < 0, waits, #name, CALLER_HERE());                                \
        for (int i = 0; (waits) && i < done; i++)                                                  \
            if (messages[i].msg_hdr.msg_controllen > 0)                                            \
                received(&messages[i].msg_hdr, CALLER_HERE());                                     \
        return done;                                                                               \
    }

MESSAGES_HOOK(recvmmsg,
              (int descriptor, struct mmsghdr *messages, unsigned count, int flags,
               struct timespec *timeout),
              (descriptor, messages, count, flags, timeout), true)
MESSAGES_HOOK(sendmmsg, (int descriptor, struct mmsghdr *messages, unsigned count, int flags),
              (descriptor, messages, count, flags), false)

/* Waiting for descriptors: where what happened is to be written is what a late event loop touches.
 */
static void look_at_polled(const struct pollfd *watched, nfds_t count, int ready,
                           const char *function, struct caller caller)
{
    for (nfds_t i = 0; i < count && ready > 0; i++) {
        ready -= watched[i].revents != 0;
        if (__builtin_expect((watched[i].revents & POLLNVAL) != 0, 0))
            event_use_failed(watched[i].fd, function, true, caller);
    }
}

#define WAIT_HOOK(name, parameters, arguments, watched, size)                                      \
    EXPORT int name parameters                                                                     \
    {                                                                                              \
        real_need();                                                                               \
        before(watched, size, #name, CALLER_HERE());                                               \
        event_pauses();                                                                            \
        struct thread_call *call =                                                                 \
            event_wait_begin(watched, NULL, NULL, size, #name, CALLER_HERE());                     \
        int ready = real.name arguments;                                                           \
        event_wait_end(call);                                                                      \
        if (ready == 0)                                                                            \
            event_pause_timed_out();                                                               \
        if (__builtin_expect(ready < 0, 0) && errno == EFAULT)                                     \
            ask(watched, #name, CALLER_HERE());                                                    \
        else if (ready > 0 && guard_active)                                                        \
            look_at_polled(watched, size, ready, #name, CALLER_HERE());                            \
        return ready;                                                                              \
    }

WAIT_HOOK(poll, (struct pollfd * watched, nfds_t count, int timeout), (watched, count, timeout),
          watched, count)
WAIT_HOOK(ppoll,
          (struct pollfd * watched, nfds_t count, const struct timespec *timeout,
           const sigset_t *mask),
          (watched, count, timeout, mask), watched, count)
WAIT_HOOK(__poll_chk, (struct pollfd * watched, nfds_t count, int timeout, size_t room),
          (watched, count, timeout, room), watched, count)
WAIT_HOOK(__ppoll_chk,
          (struct pollfd * watched, nfds_t count, const struct timespec *timeout,
           const sigset_t *mask, size_t room),
          (watched, count, timeout, mask, room), watched, count)

/* No look before the call: the kernel writes nothing where nothing happened, and an event loop may
 * be stopped before anything does. */
static void after_epoll(const struct epoll_event *events, int room, int ready, const char *function,
                        struct caller caller)
{
    if (ready < 0 && errno == EFAULT)
        ask(events, function, caller);
    else if (ready > 0 && ready < room) /* the kernel may have stopped short */
        ask(events + ready, function, caller);
}

EXPORT int epoll_wait(int descriptor, struct epoll_event *events, int room, int timeout)
{
    real_need();
    event_waited();
    event_pauses();
    struct descriptor_use use = event_use_begin(descriptor, "epoll_wait", CALLER_HERE());
    int ready = real.epoll_wait(descriptor, events, room, timeout);
    if (ready == 0)
        event_pause_timed_out();
    event_use_end(&use, ready < 0, true, "epoll_wait", CALLER_HERE());
    after_epoll(events, room, ready, "epoll_wait", CALLER_HERE());
    return ready;
}

EXPORT int epoll_pwait(int descriptor, struct epoll_event *events, int room, int timeout,
                       const sigset_t *mask)
{
    real_need();
    event_waited();
    event_pauses();
    struct descriptor_use use = event_use_begin(descriptor, "epoll_pwait", CALLER_HERE());
    int ready = real.epoll_pwait(descriptor, events, room, timeout, mask);
    if (ready == 0)
        event_pause_timed_out();
    event_use_end(&use, ready < 0, true, "epoll_pwait", CALLER_HERE());
    after_epoll(events, room, ready, "epoll_pwait", CALLER_HERE());
    return ready;
}

EXPORT int epoll_pwait2(int descriptor, struct epoll_event *events, int room,
                        const struct timespec *timeout, const sigset_t *mask)
{
    real_need();
    event_waited();
    struct descriptor_use use = event_use_begin(descriptor, "epoll_pwait2", CALLER_HERE());
    int ready = real.epoll_pwait2(descriptor, events, room, timeout, mask);
    event_use_end(&use, ready < 0, true, "epoll_pwait2", CALLER_HERE());
    after_epoll(events, room, ready, "epoll_pwait2", CALLER_HERE());
    return ready;
}
