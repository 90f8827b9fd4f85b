/* Answers packets with the same octets, as fast as one process can: the yardstick in C.
 *
 * usage: answers DESCRIPTOR COUNT ANSWER
 *
 * Reads COUNT packets from the device open as DESCRIPTOR and writes the octets of ANSWER,
 * in hexadecimal, back for each. Prints the nanoseconds that took.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static unsigned char packet[2048], answer[2048];

static long long nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    int device = atoi(argv[1]);
    long count = atol(argv[2]);
    size_t length = strlen(argv[3]) / 2;
    if (length > sizeof answer)
        return 2;
    for (size_t at = 0; at < length; at++)
        if (sscanf(argv[3] + 2 * at, "%2hhx", &answer[at]) != 1)
            return 2;
    long long begun = nanoseconds();
    for (long done = 0; done < count; done++)
        if (read(device, packet, sizeof packet) <= 0 || write(device, answer, length) < 0)
            return 1;
    printf("%lld\n", nanoseconds() - begun);
    return 0;
}
