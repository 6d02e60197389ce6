// The destroying thread itself uses the object afterwards.
// EXPECT kind=use-after-free late=main destroyer=main touch=peek end=main birth=main start=-
#include "case.h"

struct Node {
    volatile long value = 1;
};

NOINLINE static long peek(const Node *node)
{
    return node->value;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    Node *node = new Node;
    case_sink = (uintptr_t)node;
    Node *kept = (Node *)case_sink;
    if (!bug)
        case_sink = (uintptr_t)peek(kept);
    delete node;
    if (bug)
        case_sink = (uintptr_t)peek(kept);
    return 0;
}
