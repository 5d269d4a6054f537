/*
 * Finds the code that the kernel has put into this process, without the help of the
 * C library, and asks it for the time, in a child that the kernel allows no system call
 * but read, write and exit. With the argument `call`, the child makes a system call instead.
 */
#include <elf.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef int clock_function(clockid_t, struct timespec *);

/* The auxiliary vector follows the environment. */
static const char *find_vdso(char **envp)
{
	while (*envp)
		envp++;
	for (Elf64_auxv_t *entry = (void *)(envp + 1); entry->a_type != AT_NULL; entry++)
		if (entry->a_type == AT_SYSINFO_EHDR)
			return (const char *)entry->a_un.a_val;
	return NULL;
}

/* Looks a function up in the vDSO's table of symbols. */
static void *find_function(const char *vdso, const char *name)
{
	const Elf64_Ehdr *header = (const void *)vdso;
	const Elf64_Phdr *segment = (const void *)(vdso + header->e_phoff);
	const Elf64_Dyn *dynamic = NULL;
	const Elf64_Sym *symbol = NULL;
	const char *names = NULL;

	while (segment->p_type != PT_DYNAMIC)
		segment++;
	dynamic = (const void *)(vdso + segment->p_offset);
	for (; dynamic->d_tag != DT_NULL; dynamic++) {
		if (dynamic->d_tag == DT_SYMTAB)
			symbol = (const void *)(vdso + dynamic->d_un.d_ptr);
		if (dynamic->d_tag == DT_STRTAB)
			names = vdso + dynamic->d_un.d_ptr;
	}
	/* In this file, the symbols' names follow the last symbol. */
	for (; (const char *)symbol < names; symbol++)
		if (strcmp(names + symbol->st_name, name) == 0)
			return (void *)(vdso + symbol->st_value);
	return NULL;
}

static int child(clock_function *clock_gettime_of_vdso, int makes_call)
{
	struct timespec now = { 0 };
	char line[80];

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) < 0)
		return 1;
	if (makes_call)
		syscall(SYS_clock_gettime, CLOCK_REALTIME_COARSE, &now);
	else
		clock_gettime_of_vdso(CLOCK_REALTIME_COARSE, &now);
	int length = snprintf(line, sizeof(line), "child: it is %lld s after 1970\n", (long long)now.tv_sec);
	write(1, line, length);
	/* What exit(2) of the C library calls, exit_group, is not allowed either. */
	return syscall(SYS_exit, 0);
}

int main(int argc, char **argv, char **envp)
{
	const char *vdso = find_vdso(envp);
	int status;

	if (vdso) {
		void *function = find_function(vdso, "__vdso_clock_gettime");
		printf("parent: the vDSO begins with %.3s, and has %s\n", vdso + 1,
		       function ? "__vdso_clock_gettime" : "no __vdso_clock_gettime");
		fflush(stdout);
		if (fork() == 0)
			return child(function, strcmp(argv[argc - 1], "call") == 0);
		wait(&status);
		if (WIFSIGNALED(status))
			printf("parent: the child was killed by signal %d\n", WTERMSIG(status));
		else
			printf("parent: the child exited with status %d\n", WEXITSTATUS(status));
	} else {
		puts("parent: there is no vDSO");
	}
	fflush(stdout);
	return reboot(RB_POWER_OFF);
}
