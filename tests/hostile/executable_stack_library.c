/* Linked so that it wants executable stacks. */
int executable_stack(void);

int executable_stack(void)
{
    return 1;
}
