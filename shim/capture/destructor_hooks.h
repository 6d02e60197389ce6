/* Destructor hooks: makes the destructors of the executable and of its libraries tell when they are
 * entered and left, by entry patching. Called by start.c. */
#ifndef OUTLIVE_CAPTURE_DESTRUCTOR_HOOKS_H
#define OUTLIVE_CAPTURE_DESTRUCTOR_HOOKS_H

/* Once, at start, while there is one thread. What is not seen has been told. */
void destructor_hooks_start(void);

#endif
