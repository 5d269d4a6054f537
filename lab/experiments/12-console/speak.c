/*
 * Opens three files, as any program may, and prints an error message. Then it says on the
 * serial port what has become of them. With the argument `first`, it prints before it opens.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char message[] = "error: can you hear me?\n";

int main(int argc, char **argv)
{
	int is_first = argc > 1 && strcmp(argv[1], "first") == 0;
	ssize_t written = 0;
	int files[3];

	if (is_first)
		written = write(2, message, strlen(message));
	const char *why = written < 0 ? strerror(errno) : "no error";

	for (int i = 0; i < 3; i++) {
		const char *names[] = { "/one", "/two", "/three" };
		files[i] = open(names[i], O_RDWR | O_CREAT | O_TRUNC, 0644);
		if (files[i] < 0)
			return 1;
	}
	if (!is_first)
		written = write(2, message, strlen(message));

	FILE *port = fopen("/dev/ttyS0", "w");
	char text[100] = "";
	if (!port || pread(files[2], text, sizeof(text) - 1, 0) < 0)
		return 1;
	if (is_first)
		fprintf(port, "program: write() has written %zd bytes: %s\n", written, why);
	fprintf(port, "program: my files are the descriptors %d, %d and %d\n", files[0], files[1], files[2]);
	fprintf(port, "program: /three has %zu bytes: %s\n", strlen(text), text[0] ? text : "nothing");
	return 0;
}
