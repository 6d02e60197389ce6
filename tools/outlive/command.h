/* Command: what the subcommands share. */
#ifndef OUTLIVE_TOOLS_COMMAND_H
#define OUTLIVE_TOOLS_COMMAND_H

#define COMMAND_MISUSE 2 /* exit status for words that the command does not take */

/* arguments[0] is the subcommand. Returns the exit status; run_program may instead end the process
 * by the signal that ended the program. */
int run_program(int count, char **arguments);
int stress_program(int count, char **arguments);
int scan_program(int count, char **arguments);

#endif
