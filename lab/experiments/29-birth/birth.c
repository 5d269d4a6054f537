/* Says what a process has from birth. As PID 1, it switches the machine off in the end. */
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void print_limit(const char *name, int resource)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) < 0)
		perror(name);
	else if (limit.rlim_cur == RLIM_INFINITY)
		printf("%-18sunlimited\n", name);
	else
		printf("%-18s%lu\n", name, (unsigned long)limit.rlim_cur);
}

int main(void)
{
	char folder[256] = "";
	struct __user_cap_header_struct version = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct sets[2] = { { 0 } };
	sigset_t blocked;
	int signals_blocked = 0, signals_ignored = 0, capabilities = 0;
	mode_t mask = umask(0);

	umask(mask);
	sigprocmask(SIG_BLOCK, NULL, &blocked);
	for (int number = 1; number < NSIG; number++) {
		struct sigaction action;
		signals_blocked += sigismember(&blocked, number) == 1;
		if (sigaction(number, NULL, &action) == 0)
			signals_ignored += action.sa_handler == SIG_IGN;
	}
	if (syscall(SYS_capget, &version, sets) < 0)
		perror("capget");
	for (int number = 0; number <= CAP_LAST_CAP; number++)
		capabilities += sets[number / 32].effective >> number % 32 & 1;

	printf("PID               %d\n", getpid());
	printf("parent            %d\n", getppid());
	printf("process group     %d\n", getpgrp());
	printf("session           %d\n", getsid(0));
	printf("user, group       %d, %d\n", getuid(), getgid());
	printf("capabilities      %s\n", capabilities == CAP_LAST_CAP + 1 ? "all" : "not all");
	printf("folder            %s\n", getcwd(folder, sizeof(folder)));
	printf("umask             %03o\n", mask);
	printf("signals           %d blocked, %d ignored\n", signals_blocked, signals_ignored);
	printf("open descriptors ");
	for (int descriptor = 0; descriptor < 100; descriptor++)
		if (fcntl(descriptor, F_GETFD) >= 0)
			printf(" %d", descriptor);
	printf("\n");
	print_limit("limit: files", RLIMIT_NOFILE);
	print_limit("limit: core dump", RLIMIT_CORE);
	print_limit("limit: stack", RLIMIT_STACK);
	fflush(stdout);
	return getpid() == 1 ? reboot(RB_POWER_OFF) : 0;
}
