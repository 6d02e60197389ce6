/* Annotation hooks: what include/outlive.h reaches. Files that use it hold a pointer, and an ELF
 * note that leads there: see the header. */
#ifndef OUTLIVE_CAPTURE_ANNOTATION_HOOKS_H
#define OUTLIVE_CAPTURE_ANNOTATION_HOOKS_H

/* Fills in the pointers of all modules that are loaded, and of those only that have none yet. While
 * the loader's list stands still: at start, in the loader, or by its lock. */
void annotation_hooks_look(void);

#endif
