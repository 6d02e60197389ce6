/* outlive.h: what a program can tell Outlive, the thread lifecycle sanitizer, of what cannot be
 * seen from outside: elements of a pool, objects in static storage or in another object, hand-over
 * by atomics, the begin of its shutdown.
 *
 * For C (C99 and later) and C++ (C++98 and later), gcc and clang, 64-bit x86 Linux; elsewhere, and
 * where OUTLIVE_DISABLE is defined, every call is empty. Nothing is linked and nothing else
 * included. In a program that does not run under Outlive a call is a load and a branch. Each object
 * file that calls anything holds one pointer, NULL, and an ELF note of 24 bytes that tells where it
 * is; Outlive, when it is preloaded, looks for these notes in the program and its libraries, also
 * those that dlopen loads, and fills the pointers in before their constructors run. So the header
 * works in executables, position-independent or not, in libraries, after link-time optimisation,
 * and where only some of the files use it. Statically linked programs, which cannot be preloaded,
 * run as without it; so do libraries loaded with dlmopen, and constructors of libraries that the
 * loader runs before Outlive's own.
 *
 * All functions: any thread may call them at any time, signal handlers too; they keep errno and
 * never fail. What Outlive has no room for (65,536 objects, 4,096 needs at once) is left out, which
 * it says once. A NULL address is ignored, as is one that nothing is known of. Names are copied;
 * 63 bytes of them are kept; NULL is no name.
 *
 *     static struct session pool[64];
 *     outlive_born(&pool[i], sizeof pool[i], "session");
 *     outlive_touched(&pool[i]);   // before it is used: told, where it is dead, as use-after-death
 *     outlive_died(&pool[i]);
 *
 * docs/annotations.md has an example and the reports. Apache-2.0. */
#ifndef OUTLIVE_H
#define OUTLIVE_H

#include <stddef.h>

/* What the pointer leads to: Outlive's functions. Later versions get a note of another type. */
struct outlive_calls {
    void (*born)(const void *address, size_t size, const char *name);
    void (*died)(const void *address);
    void (*touched)(const void *address);
    void (*shutdown_begins)(const char *name);
    void (*thread_needs)(const void *address);
    void (*handed_over)(const void *address);
    void (*ignore_begin)(void);
    void (*ignore_end)(void);
};

#define OUTLIVE_NOTE_NAME "Outlive" /* with its NUL: 8 bytes */
#define OUTLIVE_NOTE_CALLS 1        /* 8 bytes: distance from here to the pointer */

#if defined(__GNUC__) && defined(__x86_64__) && defined(__ELF__) && !defined(__ILP32__) &&         \
    !defined(OUTLIVE_DISABLE)

/* In the function rather than beside it, so that the pointer and its note are wherever the code
 * comes to be: link-time optimisation deals functions out to files of its own. Once a file. */
static __inline__ __attribute__((always_inline, unused)) const struct outlive_calls *
outlive_present(void)
{
    const struct outlive_calls *calls;
    __asm__ __volatile__(".ifndef .Loutlive_calls\n"
                         ".pushsection .data.outlive,\"aw\",@progbits\n"
                         ".balign 8\n"
                         ".Loutlive_calls: .quad 0\n"
                         ".popsection\n"
                         ".pushsection .note.outlive,\"a\",@note\n"
                         ".balign 4\n"
                         ".long 8, 8, 1\n"
                         ".asciz \"Outlive\"\n"
                         ".quad .Loutlive_calls - .\n"
                         ".popsection\n"
                         ".endif\n"
                         "{movq .Loutlive_calls(%%rip), %0|mov %0, QWORD PTR .Loutlive_calls[rip]}"
                         : "=r"(calls));
    return calls;
}

#define OUTLIVE_TELL(call)                                                                         \
    do {                                                                                           \
        const struct outlive_calls *outlive_there = outlive_present();                             \
        if (__builtin_expect(outlive_there != NULL, 0))                                            \
            outlive_there->call;                                                                   \
    } while (0)
#define OUTLIVE_FUNCTION static __inline__ __attribute__((always_inline, unused)) void

#else

#define OUTLIVE_TELL(call) ((void)0)
#if defined(__GNUC__)
#define OUTLIVE_FUNCTION static __inline__ __attribute__((unused)) void
#else
#define OUTLIVE_FUNCTION static inline void
#endif

#endif

/* An object of `size` bytes lives at the address from now on: in a pool, in static storage, on a
 * stack, or inside another object. Told by whoever makes it, before other threads can reach it. Two
 * objects that begin at one address (a base, a first member) are one here, that dies with the last.
 */
OUTLIVE_FUNCTION outlive_born(const void *address, size_t size, const char *name)
{
    (void)address, (void)size, (void)name;
    OUTLIVE_TELL(born(address, size, name));
}

/* It is dead: tell it before its memory is given back or filled anew. Another live thread that
 * needs it (outlive_thread_needs) is told, as death-while-needed. */
OUTLIVE_FUNCTION outlive_died(const void *address)
{
    (void)address;
    OUTLIVE_TELL(died(address));
}

/* The calling thread is about to use the object that was born at the address, or the heap object
 * that the address lies in. If outlive_died() has ended the object, and no birth was told there
 * since, this is a use-after-death, which stops the program. So where touches of some class are
 * told, tell the births of all its objects. */
OUTLIVE_FUNCTION outlive_touched(const void *address)
{
    (void)address;
    OUTLIVE_TELL(touched(address));
}

/* The program shuts down from now on; name: of what began it, for reports. Only the first sign of
 * the shutdown counts, be it this one, exit, or a signal that ends the process. */
OUTLIVE_FUNCTION outlive_shutdown_begins(const char *name)
{
    (void)name;
    OUTLIVE_TELL(shutdown_begins(name));
}

/* The calling thread will use the object that was born at the address, or the heap object that the
 * address lies in, until it ends or hands the object over: whoever ends the object before is told.
 */
OUTLIVE_FUNCTION outlive_thread_needs(const void *address)
{
    (void)address;
    OUTLIVE_TELL(thread_needs(address));
}

/* What the calling thread did to the object comes before what other threads do to it from now on,
 * by means that cannot be seen: an atomic flag or count, a message in shared memory. Call it before
 * that. It ends the thread's need of the object, and no order is asked for of its uses until now.
 */
OUTLIVE_FUNCTION outlive_handed_over(const void *address)
{
    (void)address;
    OUTLIVE_TELL(handed_over(address));
}

/* In between, touches by the calling thread give no finding, as where a benign race is known. May
 * be nested. An access to memory that was taken away goes on only where its content is kept
 * (halt_on_error=0, or suppressions). */
OUTLIVE_FUNCTION outlive_ignore_begin(void)
{
    OUTLIVE_TELL(ignore_begin());
}

OUTLIVE_FUNCTION outlive_ignore_end(void)
{
    OUTLIVE_TELL(ignore_end());
}

#if defined(__cplusplus)

/* No functions of their own, whose frames and destructors would be told instead of the program's.
 */
#if defined(__GNUC__)
#define OUTLIVE_MEMBER __inline__ __attribute__((always_inline))
#else
#define OUTLIVE_MEMBER inline
#endif

namespace outlive
{

/* A life that follows the scope: as a base or as the FIRST member of a class, so that it is born
 * before all other members and dies after them; the size is that of the whole, which is the
 * caller's to tell.
 *
 *     class Session {
 *         outlive::object life;
 *         Session() : life(this, sizeof *this, "Session") {}
 *
 * It adds three words to the class, with and without Outlive; outlive_born() and outlive_died() in
 * its constructors and destructor add none.
 *
 * A copy is an object of its own, which begins where it lies; as is what it was moved to. */
class object
{
  public:
    OUTLIVE_MEMBER object(const void *address, size_t size, const char *name)
        : size_(size), name_(name)
    {
        offset_ = static_cast<const char *>(address) - self();
        outlive_born(address, size, name);
    }
    OUTLIVE_MEMBER object(const object &other)
        : size_(other.size_), name_(other.name_), offset_(other.offset_)
    {
        outlive_born(address(), size_, name_);
    }
    OUTLIVE_MEMBER object &operator=(const object &)
    {
        return *this;
    }
    OUTLIVE_MEMBER ~object()
    {
        outlive_died(address());
    }
    OUTLIVE_MEMBER void touched() const
    {
        outlive_touched(address());
    }
    OUTLIVE_MEMBER void needed() const
    {
        outlive_thread_needs(address());
    }
    OUTLIVE_MEMBER void handed_over() const
    {
        outlive_handed_over(address());
    }

  private:
    OUTLIVE_MEMBER const char *self() const
    {
        return reinterpret_cast<const char *>(this);
    }
    OUTLIVE_MEMBER const void *address() const
    {
        return self() + offset_;
    }
    size_t size_;
    const char *name_; /* must live as long: a literal */
    ptrdiff_t offset_; /* from here to the object */
};

/* outlive_ignore_begin() and outlive_ignore_end(). */
class ignore
{
  public:
    OUTLIVE_MEMBER ignore()
    {
        outlive_ignore_begin();
    }
    OUTLIVE_MEMBER ~ignore()
    {
        outlive_ignore_end();
    }

  private:
    ignore(const ignore &);
    ignore &operator=(const ignore &);
};

} /* namespace outlive */
#endif

#endif
