// The example of docs/annotations.md: a pool of sessions and a journal, told to Outlive.
// example right | late-session | late-journal
#include <outlive.h>

#include <atomic>
#include <cstring>
#include <thread>

// Elements of a pool are never allocated or freed, so nothing but their annotations tells when one
// lives.
struct Session {
    int number;
    char peer[60];
};

static Session pool[16];

static Session *take_session(int number)
{
    Session *session = &pool[number];
    session->number = number;
    outlive_born(session, sizeof *session, "session");
    return session;
}

static void give_session(Session *session)
{
    outlive_died(session);
}

// Its life is its scope's: told by the first member.
class Journal
{
    outlive::object life;
    std::atomic<long> entries;

  public:
    Journal() : life(this, sizeof *this, "journal"), entries(0) {}
    void use() // by a thread, until it ends
    {
        life.needed();
    }
    void write()
    {
        life.touched();
        entries++;
    }
};

static std::atomic<int> rounds;
static std::atomic<bool> stop, flushes;

static void serve(Session *session)
{
    while (!stop) {
        outlive_touched(session);
        session->peer[0]++;
        rounds++;
        std::this_thread::yield();
    }
}

static void flush(Journal *journal)
{
    journal->use();
    journal->write();
    flushes = true;
    while (!stop)
        std::this_thread::yield();
}

static void await(int more)
{
    for (int start = rounds; rounds - start < more;)
        std::this_thread::yield();
}

int main(int count, char **arguments)
{
    const char *mistake = count > 1 ? arguments[1] : "right";
    Session *session = take_session(3);
    Journal *journal = new Journal;
    std::thread worker(serve, session), flusher(flush, journal);
    await(2);
    while (!flushes)
        std::this_thread::yield();
    outlive_shutdown_begins("drain");
    if (std::strcmp(mistake, "late-session") == 0) {
        give_session(session); // and the worker?
        await(2);
    } else if (std::strcmp(mistake, "late-journal") == 0) {
        delete journal; // and the flusher?
    }
    stop = true;
    worker.join();
    flusher.join();
    if (std::strcmp(mistake, "late-session") != 0)
        give_session(session);
    if (std::strcmp(mistake, "late-journal") != 0)
        delete journal;
}
