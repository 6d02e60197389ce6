/* Joinable destroyed: a std::thread was destroyed, or assigned over, while it stood for a thread.
 */
#include "detect/detect.h"

void detect_joinable_destroyed(struct finding *finding, const struct touch *touch,
                               const struct thread *owner, uint32_t count)
{
    finding_start(finding, KIND_JOINABLE_THREAD_DESTROYED, touch);
    finding_add_thread(finding, owner);
    finding->asks_for_destructor = true;
    finding->can_continue = true; /* std::terminate goes on as the program has it */
    if (finding->birth.has)
        finding->birth_site = finding->birth.stack.frames[0];
    struct text text = sentence_of(finding), evidence = evidence_of(finding);
    write_thread(&text, &finding->touch.actor);
    text_add(&text, " called std::terminate at the std::thread of ");
    write_thread(&text, &finding->owner);
    text_format(&text, ", which %s and is neither joined nor detached",
                owner->state == THREAD_FINISHED ? "has ended" : "still runs");
    if (count > 1)
        text_add(&text, ", or that of another thread whose handle is near by, too");
    text_format(&evidence,
                "no exception is in flight, and the object that holds handle 0x%lx is in the "
                "registers or the frames of the caller",
                finding->handle);
}
