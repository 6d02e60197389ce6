/* Shutdown crash: the program crashed while it shut down, and no other kind says why. */
#include "detect/detect.h"
#include "registry/phase.h"

void detect_shutdown_crash(struct finding *finding, const struct touch *touch, const char *what)
{
    finding_start(finding, KIND_SHUTDOWN_CRASH, touch);
    finding->with_picture = true;
    finding->can_continue = true;
    struct text text = sentence_of(finding);
    write_thread(&text, &finding->touch.actor);
    text_format(&text, " ended the program by %s in the shutdown phase (begun by %s)", what,
                phase_sign());
}
