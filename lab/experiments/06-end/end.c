/* Ends as its last argument says: with that exit status, or by a crash. */
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	const char *how = argv[argc - 1];
	if (strcmp(how, "crash") == 0)
		*(volatile int *)8 = 1;
	return atoi(how);
}
