/* Prints what the kernel put on the stack of PID 1, and switches the machine off. */
#include <elf.h>
#include <stdio.h>
#include <sys/reboot.h>

struct name {
	unsigned long key;
	const char *name;
};

static const struct name names[] = {
	{ AT_SYSINFO_EHDR, "AT_SYSINFO_EHDR" }, { AT_HWCAP, "AT_HWCAP" },
	{ AT_PAGESZ, "AT_PAGESZ" },             { AT_CLKTCK, "AT_CLKTCK" },
	{ AT_PHDR, "AT_PHDR" },                 { AT_PHENT, "AT_PHENT" },
	{ AT_PHNUM, "AT_PHNUM" },               { AT_BASE, "AT_BASE" },
	{ AT_FLAGS, "AT_FLAGS" },               { AT_ENTRY, "AT_ENTRY" },
	{ AT_UID, "AT_UID" },                   { AT_EUID, "AT_EUID" },
	{ AT_GID, "AT_GID" },                   { AT_EGID, "AT_EGID" },
	{ AT_SECURE, "AT_SECURE" },             { AT_RANDOM, "AT_RANDOM" },
	{ AT_HWCAP2, "AT_HWCAP2" },             { AT_EXECFN, "AT_EXECFN" },
	{ AT_PLATFORM, "AT_PLATFORM" },
#ifdef AT_MINSIGSTKSZ
	{ AT_MINSIGSTKSZ, "AT_MINSIGSTKSZ" },
#endif
};

static void print_entry(unsigned long key, unsigned long value)
{
	const char *name = "another";
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (names[i].key == key)
			name = names[i].name;
	if (key == AT_EXECFN || key == AT_PLATFORM)
		printf("auxv     %s (%lu): %s\n", name, key, (char *)value);
	else
		printf("auxv     %s (%lu): %#lx\n", name, key, value);
}

int main(int argc, char **argv)
{
	/* All of it lies in one piece: argc, argv, NULL, envp, NULL, auxv, AT_NULL. */
	char **word = argv;
	printf("argc     %d\n", argc);
	while (*word)
		printf("argv     %s\n", *word++);
	word++;
	while (*word)
		printf("envp     %s\n", *word++);
	word++;
	for (unsigned long *entry = (unsigned long *)word; entry[0] != AT_NULL; entry += 2)
		print_entry(entry[0], entry[1]);
	fflush(stdout);
	return reboot(RB_POWER_OFF);
}
