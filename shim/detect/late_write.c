/* Late write: a freed block in the quarantine was written to. Who wrote is not known. */
#include "detect/detect.h"

void detect_late_write(struct finding *finding, const struct touch *noticed,
                       const struct block *block, uint32_t word, uint64_t found)
{
    finding_start(finding, KIND_LATE_WRITE, noticed);
    finding_add_block(finding, block);
    finding->start.has = false; /* the noticing thread is not the writer */
    finding->has_offset = true;
    finding->offset = (uint64_t)word * 8;
    finding->can_continue = true;
    struct text text = sentence_of(finding), evidence = evidence_of(finding);
    text_format(&text, "offset %u of ", word * 8);
    write_what(&text, finding);
    text_add(&text, " was written to after ");
    write_thread(&text, &finding->end.actor);
    text_add(&text, " had freed it; the writer is unknown");
    text_format(&evidence, "the poison there had become 0x%lx", found);
}
