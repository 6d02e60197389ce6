# Programs that use their allocator in every way: the same answers bare and under the shim.
set(here ${CMAKE_CURRENT_SOURCE_DIR})
set(runner ${here}/../hostile/run-hostile)

# allocator_program(BUILD PROGRAM SOURCE [FLAG ...]): one program in one of the builds above.
function(allocator_program build program source)
  set(path ${CMAKE_CURRENT_BINARY_DIR}/${build}/${program})
  set(driver ${${build}_cc})
  if(source MATCHES "cpp$" OR "-static-libstdc++" IN_LIST ${build}_libraries)
    set(driver ${${build}_cxx})
  endif()
  add_custom_command(OUTPUT ${path}
    COMMAND ${driver} ${${build}_flags} ${here}/${source} -o ${path} ${ARGN}
            ${${build}_libraries} ${${build}_link}
    DEPENDS ${here}/${source} ${case_headers} ${${build}_needs} crossing VERBATIM)
  add_custom_target(allocator_${build}_${program} ALL DEPENDS ${path})
endfunction()

# allocator_run(NAME BUILD PROGRAM [ARGS ...] [WITH NAME=VALUE ...]): for the names see run-hostile.
function(allocator_run name build program)
  cmake_parse_arguments(given "" "" "ARGS;WITH" ${ARGN})
  add_test(NAME allocator.${name} COMMAND ${CMAKE_COMMAND} -E env ${given_WITH} ${runner}
    $<TARGET_FILE:outlive-shim> ${CMAKE_CURRENT_BINARY_DIR}/${build}/${program} ${given_ARGS})
  set_tests_properties(allocator.${name} PROPERTIES LABELS allocators TIMEOUT 600 SKIP_RETURN_CODE 77)
endfunction()

add_library(crossing SHARED crossing.c)
foreach(build jemalloc jemalloc.2 tcmalloc tcmalloc.2 mimalloc mimalloc.2 home home.2 home_new home_new.2
              static static.2)
  if(NOT DEFINED ${build}_flags)
    continue()
  endif()
  set(defined)
  if(build MATCHES "home")
    set(defined -DNO_USABLE_SIZE)
  endif()
  allocator_program(${build} uses uses.cpp -fno-builtin ${defined} $<TARGET_FILE:crossing>
                    -Wl,-rpath,${CMAKE_CURRENT_BINARY_DIR})
  allocator_run(uses.${build} ${build} uses)
  allocator_run(uses.${build}.guarded ${build} uses
                WITH "OPTIONS=guard_per_site=1000000 guard_memory=1G guard_size=1M")
  allocator_run(uses.${build}.unguarded ${build} uses WITH "OPTIONS=guard=off quarantine_rate=0")
endforeach()

# What the allocators offer beside malloc. Stripped, the names of these functions are gone.
allocator_program(jemalloc.2 family family.c -DJEMALLOC)
allocator_program(jemalloc   family family.c -DJEMALLOC)
allocator_program(tcmalloc.2 family family.c -DTCMALLOC)
set(all_guarded "OPTIONS=guard_per_site=1000000 guard_memory=1G guard_size=1M")
allocator_run(family.jemalloc jemalloc.2 family)
allocator_run(family.jemalloc.guarded jemalloc.2 family WITH "${all_guarded}")
allocator_run(family.jemalloc.configured jemalloc.2 family
  WITH "MALLOC_CONF=dirty_decay_ms:1234,junk:true,narenas:2")
allocator_run(family.jemalloc.profile jemalloc.2 family
  WITH "MALLOC_CONF=prof:true,prof_prefix:/tmp/outlive,lg_prof_sample:10")
allocator_run(family.jemalloc.stripped jemalloc family WITH "SAYS=functions of it whose names are stripped")
allocator_run(family.tcmalloc tcmalloc.2 family)
allocator_run(family.tcmalloc.guarded tcmalloc.2 family WITH "${all_guarded}")
if(DEFINED mimalloc_flags)
  allocator_program(mimalloc family family.c -DMIMALLOC -DSHARED_HEAP -I${mimalloc_source}/include)
  allocator_run(family.mimalloc mimalloc family)
  allocator_run(family.mimalloc.guarded mimalloc family WITH "${all_guarded}")
endif()

# Heaps beside glibc's.
set(plain_cc gcc)
set(plain_cxx g++)
set(plain_flags -w -g -O2 -D_GNU_SOURCE -I${here}/../cases)
set(plain_link -pthread)
file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/plain)
set(renamed)
foreach(function malloc free calloc realloc memalign aligned_alloc posix_memalign)
  list(APPEND renamed -D${function}=je_${function})
endforeach()
set(object ${CMAKE_CURRENT_BINARY_DIR}/plain/prefixed_heap.o)
add_custom_command(OUTPUT ${object}
  COMMAND gcc -w -g -O2 -D_GNU_SOURCE ${renamed} -c ${here}/home.c -o ${object} DEPENDS ${here}/home.c VERBATIM)
set(plain_needs ${object})
set(plain_libraries ${object})
allocator_program(plain prefixed prefixed.c)
allocator_run(prefixed plain prefixed ARGS ok)
allocator_run(prefixed.guarded plain prefixed ARGS ok WITH "${all_guarded}")
allocator_run(prefixed.bug plain prefixed ARGS bug WITH "FINDS=late-touch|use-after-free")
if(DEFINED mimalloc_flags)
  set(object ${CMAKE_CURRENT_BINARY_DIR}/plain/mimalloc.o)
  add_custom_command(OUTPUT ${object}
    COMMAND g++ -w -g -O2 -DNDEBUG -I${mimalloc_source}/include -x c++ -c ${mimalloc_source}/src/static.c -o ${object} VERBATIM)
  set(plain_needs ${object})
  set(plain_libraries ${object} -lstdc++)
  allocator_program(plain family_beside family.c -DMIMALLOC -I${mimalloc_source}/include)
  allocator_run(family.mimalloc.beside plain family_beside)
  allocator_run(family.mimalloc.beside.guarded plain family_beside WITH "${all_guarded}")
endif()

# Whole or not at all: what cannot be taken over is refused, with the reason, and goes on as it was.
set(plain_libraries)
set(plain_needs)
foreach(compiler gcc clang)
  set(path ${CMAKE_CURRENT_BINARY_DIR}/plain/lto_${compiler})
  set(linker)
  if(compiler STREQUAL clang)
    set(linker -fuse-ld=lld)
  endif()
  add_custom_command(OUTPUT ${path}
    COMMAND ${compiler} ${plain_flags} ${linker} -flto ${here}/../cases/double_free_hot.c ${here}/home.c -o ${path} -pthread
    COMMAND strip -o ${path}.stripped ${path}
    DEPENDS ${here}/home.c VERBATIM)
  add_custom_target(allocator_lto_${compiler} ALL DEPENDS ${path})
  allocator_run(refused.lto.${compiler} plain lto_${compiler} ARGS twin
    WITH "SAYS=cannot be taken over: built with link-time optimisation")
  allocator_run(refused.lto.${compiler}.stripped plain lto_${compiler}.stripped ARGS twin
    WITH "SAYS=cannot be taken over: the program reaches it by other functions, too, or has copies of it")
endforeach()
# What stands beside glibc's malloc in such a build is left to itself, but operator new is known.
set(path ${CMAKE_CURRENT_BINARY_DIR}/plain/lto_prefixed)
add_custom_command(OUTPUT ${path}
  COMMAND gcc ${plain_flags} ${renamed} -flto -c ${here}/home.c -o ${path}.o
  COMMAND gcc ${plain_flags} -flto ${here}/prefixed.c ${path}.o -o ${path} -pthread
  DEPENDS ${here}/home.c ${here}/prefixed.c VERBATIM)
add_custom_target(allocator_lto_prefixed ALL DEPENDS ${path})
allocator_run(refused.lto.prefixed plain lto_prefixed ARGS ok WITH "${all_guarded}")
set(path ${CMAKE_CURRENT_BINARY_DIR}/plain/lto_static)
set(source ${here}/../cases/uninitialised_delete.cpp)
add_custom_command(OUTPUT ${path}
  COMMAND g++ ${plain_flags} -flto -static-libstdc++ -static-libgcc ${source} -o ${path} -pthread
  DEPENDS ${source} ${case_headers} VERBATIM)
add_custom_target(allocator_lto_static ALL DEPENDS ${path})
add_test(NAME allocator.lto_static COMMAND ${here}/../run-case $<TARGET_FILE:outlive-shim> ${source} ${path} bug plain 1)
set_tests_properties(allocator.lto_static PROPERTIES LABELS allocators TIMEOUT 300)
foreach(kind SHORT BACK COPIES BESIDE)
  string(TOLOWER ${kind} name)
  allocator_program(plain unpatchable_${name} unpatchable.c -D${kind} -fno-builtin)
endforeach()
allocator_run(refused.short plain unpatchable_short WITH "SAYS=taken over: free: shorter than the jump")
allocator_run(refused.back plain unpatchable_back WITH "SAYS=taken over: malloc: a loop leads back to the entry")
allocator_run(refused.copies plain unpatchable_copies WITH "SAYS=taken over: the program reaches it by other functions")
allocator_run(refused.beside plain unpatchable_beside WITH "SAYS=taken over: the program reaches it by other functions")
allocator_run(refused.patch jemalloc uses WITH OPTIONS=patch=0 "SAYS=taken over: patch=0 forbids it")
add_test(NAME allocator.refused COMMAND ${here}/check-refused ${CMAKE_BINARY_DIR})
set_tests_properties(allocator.refused PROPERTIES LABELS allocators TIMEOUT 300)

# Preloaded beside the shim, on either side.
foreach(library libjemalloc.so.2 libtcmalloc_minimal.so.4 libtcmalloc.so.4 libmimalloc.so.2.0)
  set(path ${archives}/${library})
  string(REGEX REPLACE "^lib|[.]so.*" "" name ${library})
  if(NOT EXISTS ${path})
    continue()
  endif()
  foreach(order before after)
    set(both $<TARGET_FILE:outlive-shim>:${path})
    if(order STREQUAL before)
      set(both ${path}:$<TARGET_FILE:outlive-shim>)
    endif()
    add_test(NAME allocator.preloaded.${name}.${order}
      COMMAND ${CMAKE_COMMAND} -E env PRELOAD=${both} ${runner} $<TARGET_FILE:outlive-shim> $<TARGET_FILE:hostile_sample> ok)
    add_test(NAME allocator.preloaded.${name}.${order}.bug
      COMMAND ${CMAKE_COMMAND} -E env PRELOAD=${both} "FINDS=late-touch|use-after-free" ${runner}
              $<TARGET_FILE:outlive-shim> $<TARGET_FILE:hostile_sample> bug)
    add_test(NAME allocator.preloaded.${name}.${order}.uses
      COMMAND ${CMAKE_COMMAND} -E env PRELOAD=${both} ${runner} $<TARGET_FILE:outlive-shim>
              ${CMAKE_CURRENT_BINARY_DIR}/glibc/uses)
    set_tests_properties(allocator.preloaded.${name}.${order} allocator.preloaded.${name}.${order}.bug
      allocator.preloaded.${name}.${order}.uses PROPERTIES LABELS allocators TIMEOUT 600)
  endforeach()
endforeach()
set(glibc_cc gcc)
set(glibc_cxx g++)
set(glibc_flags ${plain_flags})
set(glibc_link -pthread)
file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/glibc)
allocator_program(glibc uses uses.cpp $<TARGET_FILE:crossing> -Wl,-rpath,${CMAKE_CURRENT_BINARY_DIR})
allocator_run(uses.glibc glibc uses)
