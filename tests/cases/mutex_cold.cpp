// A thread locks the mutex of a deleted object; it must end, not hang.
// EXPECT kind=late-touch late=worker destroyer=main touch=account end=main birth=main start=main
#include "case.h"

#include <mutex>

struct Account {
    long balance = 0;
    std::mutex lock;
};

NOINLINE static void account(Account *account)
{
    {
        std::lock_guard<std::mutex> hold(account->lock);
        account->balance++;
    }
    case_sink++; // no tail call: the frame stays while it unlocks
}

static void *run(void *argument)
{
    case_name("worker");
    while (!case_stopped()) {
        account(static_cast<Account *>(argument));
        case_round();
    }
    return nullptr;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    auto *shared = new Account;
    pthread_t thread;
    pthread_create(&thread, nullptr, run, shared);
    case_await(2);
    if (bug) {
        case_hold_between();
    } else {
        case_tell_stop();
        pthread_join(thread, nullptr);
    }
    {
        std::lock_guard<std::mutex> hold(shared->lock); // accidental order is no order
    }
    delete shared;
    if (bug) {
        case_go_on();
        case_await(2);
    }
    return 0;
}
