/* Versions: binds the shim to the oldest version of each glibc symbol, so that one build runs from
 * glibc 2.28 on. Included before every file of the shim by its CMakeLists.txt. glibc 2.34 moved
 * libdl's and libpthread's symbols into libc under a new version and kept the old ones (glibc NEWS,
 * 2.34); the shim names both libraries as needed, which are empty from then on. */
#ifndef OUTLIVE_BASE_VERSIONS_H
#define OUTLIVE_BASE_VERSIONS_H

#if defined(__x86_64__)
__asm__(".symver dladdr,dladdr@GLIBC_2.2.5");
__asm__(".symver dladdr1,dladdr1@GLIBC_2.3.3");
__asm__(".symver dlsym,dlsym@GLIBC_2.2.5");
__asm__(".symver pthread_attr_getguardsize,pthread_attr_getguardsize@GLIBC_2.2.5");
__asm__(".symver pthread_attr_getstack,pthread_attr_getstack@GLIBC_2.2.5");
__asm__(".symver pthread_attr_getstacksize,pthread_attr_getstacksize@GLIBC_2.2.5");
__asm__(".symver pthread_attr_setguardsize,pthread_attr_setguardsize@GLIBC_2.2.5");
__asm__(".symver pthread_attr_setstack,pthread_attr_setstack@GLIBC_2.2.5");
#endif

#endif
