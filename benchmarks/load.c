/*
 * A submission client that is cheap enough never to be what a benchmark measures: one thread per session, TLS, AUTH
 * PLAIN, one message after the other, no pipelining, as mail programs do it.
 *
 *   load HOST PORT -c SESSIONS -n MESSAGES -k PER_CONNECTION -b FIRST -a ACCOUNTS -r RECIPIENTS -m EACH -f -t TEMPLATE
 *        -p PATCHES -o LOG
 *
 * ACCOUNTS has lines "address base64-of-AUTH-PLAIN", RECIPIENTS one address per line, TEMPLATE the octets that follow
 * the 354, dots stuffed, final dot included. PATCHES has lines "S|R|N offset": there go the sender, the recipient and
 * the 12 digits of the message's number (FIRST, FIRST+1, ...), all of fixed width. Without -f a session writes to the
 * recipient of its account's line; with -f ("fresh") each message goes to the next recipient. With -m a message goes to
 * so many recipients, those of the lines that follow.
 *
 * PER_CONNECTION 0 keeps sessions open. Then "ready" is said once all are signed in, "go" is waited for, "done" is said
 * before anybody signs off, and a last line is waited for: the caller measures the messages and nothing else.
 *
 * LOG gets a line per acknowledged message: number, line of the account, line of the first recipient, microseconds from
 * the last octet of data to the reply, and that reply. Anything but the expected replies ends the program with 1.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { WHOLE = 64 * 1024, HEAD = 8 * 1024, TAIL = 1024, DIGITS = 12, STACK = 256 * 1024 };

struct account { char *address, *plain; };
struct patch { char kind; long offset; };
struct record { long number; int account, recipient; long micros; char reply[96]; };
struct session {
    SSL *tls;
    int descriptor, account;
    char in[4096];
    int have;
    char *head, *tail;
};

static struct sockaddr_in server;
static SSL_CTX *context;
static struct account *accounts;
static char **recipients;
static struct patch patches[32];
static struct record *records;
static char *template;
static long account_count, recipient_count, patch_count, template_size, head_size, tail_size;
static long sessions, messages, per_connection, first, each_goes_to = 1;
static int fresh;
static atomic_long next_message, next_connection;
static pthread_mutex_t one_by_one = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t signed_in, started, finished, released;

static void fail(const char *what, const char *detail)
{
    fprintf(stderr, "load: %s: %s\n", what, detail);
    exit(1);
}

static long now_micros(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000L + time.tv_nsec / 1000;
}

static void put(struct session *s, const char *octets, long size)
{
    while (size > 0) {
        int chunk = size > 1 << 20 ? 1 << 20 : (int)size;
        int done = SSL_write(s->tls, octets, chunk);
        if (done <= 0)
            fail("write", "the server closed the connection");
        octets += done;
        size -= done;
    }
}

/* Read one reply, which may have several lines; return its last line, in s->in until the next call. */
static char *reply(struct session *s, const char *expected, const char *after)
{
    static _Thread_local char last[sizeof s->in];
    for (;;) {
        char *end;
        while ((end = memmem(s->in, s->have, "\r\n", 2))) {
            int length = (int)(end - s->in);
            memcpy(last, s->in, length);
            last[length] = 0;
            s->have -= length + 2;
            memmove(s->in, end + 2, s->have);
            if (length < 4 || last[3] != '-') {
                if (strncmp(last, expected, 3))
                    fail(after, last);
                return last;
            }
        }
        int got = SSL_read(s->tls, s->in + s->have, (int)sizeof s->in - s->have);
        if (got <= 0)
            fail(after, "the server closed the connection");
        s->have += got;
    }
}

static void say(struct session *s, const char *line, const char *expected)
{
    put(s, line, (long)strlen(line));
    reply(s, expected, line);
}

static void sign_in(struct session *s)
{
    char line[1024];
    int on = 1;
    s->have = 0;
    s->descriptor = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(s->descriptor, (struct sockaddr *)&server, sizeof server))
        fail("connect", "refused");
    setsockopt(s->descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    s->tls = SSL_new(context);
    SSL_set_fd(s->tls, s->descriptor);
    if (SSL_connect(s->tls) != 1)
        fail("TLS", ERR_reason_error_string(ERR_peek_error()) ? ERR_reason_error_string(ERR_peek_error()) : "closed");
    reply(s, "220", "greeting");
    say(s, "EHLO client.example\r\n", "250");
    snprintf(line, sizeof line, "AUTH PLAIN %s\r\n", accounts[s->account].plain);
    put(s, line, (long)strlen(line));
    reply(s, "235", "AUTH"); /* not the line itself: it would show the password if it is refused */
}

static void sign_off(struct session *s)
{
    say(s, "QUIT\r\n", "221");
    SSL_shutdown(s->tls);
    SSL_free(s->tls);
    close(s->descriptor);
}

static void patch(struct session *s, long number, const char *sender, const char *recipient)
{
    char digits[DIGITS + 1];
    snprintf(digits, sizeof digits, "%0*ld", DIGITS, number);
    for (long i = 0; i < patch_count; i++) {
        long at = patches[i].offset;
        char *place = at < head_size ? s->head + at : s->tail + at - (template_size - tail_size);
        const char *text = patches[i].kind == 'S' ? sender : patches[i].kind == 'R' ? recipient : digits;
        memcpy(place, text, strlen(text));
    }
}

static void submit(struct session *s, long turn)
{
    char line[1024];
    struct record *record = &records[turn];
    long recipient = (fresh ? turn : s->account) * each_goes_to % recipient_count;
    long number = first + turn, begun;
    patch(s, number, accounts[s->account].address, recipients[recipient]);
    snprintf(line, sizeof line, "MAIL FROM:<%s>\r\n", accounts[s->account].address);
    say(s, line, "250");
    for (long i = 0; i < each_goes_to; i++) {
        snprintf(line, sizeof line, "RCPT TO:<%s>\r\n", recipients[(recipient + i) % recipient_count]);
        say(s, line, "250");
    }
    say(s, "DATA\r\n", "354");
    put(s, s->head, head_size);
    put(s, template + head_size, template_size - head_size - tail_size);
    put(s, s->tail, tail_size);
    begun = now_micros();
    snprintf(record->reply, sizeof record->reply, "%s", reply(s, "250", "end of data"));
    record->micros = now_micros() - begun;
    record->number = number;
    record->account = s->account;
    record->recipient = (int)recipient;
}

static void *play(void *argument)
{
    struct session *s = argument;
    long turn;
    s->head = malloc(head_size + 1);
    s->tail = malloc(tail_size + 1);
    memcpy(s->head, template, head_size);
    memcpy(s->tail, template + template_size - tail_size, tail_size);
    if (!per_connection) {
        /* A door lets only so many people wait for their sign-in at once, and this part is not measured. */
        pthread_mutex_lock(&one_by_one);
        sign_in(s);
        pthread_mutex_unlock(&one_by_one);
        pthread_barrier_wait(&signed_in);
        pthread_barrier_wait(&started);
        while ((turn = atomic_fetch_add(&next_message, 1)) < messages)
            submit(s, turn);
        pthread_barrier_wait(&finished);
        pthread_barrier_wait(&released);
        sign_off(s);
        return NULL;
    }
    pthread_barrier_wait(&signed_in);
    pthread_barrier_wait(&started);
    while ((turn = atomic_fetch_add(&next_message, per_connection)) < messages) {
        long end = turn + per_connection < messages ? turn + per_connection : messages;
        s->account = (int)(atomic_fetch_add(&next_connection, 1) % account_count);
        sign_in(s);
        for (; turn < end; turn++)
            submit(s, turn);
        sign_off(s);
    }
    pthread_barrier_wait(&finished);
    pthread_barrier_wait(&released);
    return NULL;
}

static FILE *opened(const char *name)
{
    FILE *file = fopen(name, "rb");
    if (!file)
        fail(name, "cannot be read");
    return file;
}

static void read_lists(const char *account_file, const char *recipient_file, const char *patch_file)
{
    char address[256], plain[512];
    FILE *file = opened(account_file);
    while (fscanf(file, "%255s %511s", address, plain) == 2) {
        accounts = realloc(accounts, (account_count + 1) * sizeof *accounts);
        accounts[account_count++] = (struct account){strdup(address), strdup(plain)};
    }
    fclose(file);
    file = opened(recipient_file);
    while (fscanf(file, "%255s", address) == 1) {
        recipients = realloc(recipients, (recipient_count + 1) * sizeof *recipients);
        recipients[recipient_count++] = strdup(address);
    }
    fclose(file);
    file = opened(patch_file);
    while (patch_count < 32 && fscanf(file, " %c %ld", &patches[patch_count].kind, &patches[patch_count].offset) == 2)
        patch_count++;
    fclose(file);
    if (!account_count || !recipient_count)
        fail("lists", "an account and a recipient are needed");
}

static void read_template(const char *name)
{
    FILE *file = opened(name);
    fseek(file, 0, SEEK_END);
    template_size = ftell(file);
    rewind(file);
    template = malloc(template_size + 1);
    if (fread(template, 1, template_size, file) != (size_t)template_size)
        fail(name, "cannot be read");
    fclose(file);
    head_size = template_size <= WHOLE ? template_size : HEAD;
    tail_size = template_size <= WHOLE ? 0 : TAIL;
    for (long i = 0; i < patch_count; i++)
        if (tail_size && patches[i].offset > head_size - 64 && patches[i].offset < template_size - tail_size)
            fail("patches", "one is neither at the start nor at the end");
}

static void wait_for_line(void)
{
    int c;
    while ((c = getchar()) != '\n')
        if (c == EOF)
            exit(1);
}

static void meet(pthread_barrier_t *there, pthread_barrier_t *onward, const char *word)
{
    pthread_barrier_wait(there);
    puts(word);
    fflush(stdout);
    wait_for_line();
    pthread_barrier_wait(onward);
}

static void write_log(const char *name)
{
    FILE *file = fopen(name, "w");
    if (!file)
        fail(name, "cannot be written");
    for (long i = 0; i < messages; i++)
        fprintf(file, "%ld %d %d %ld %s\n", records[i].number, records[i].account, records[i].recipient,
                records[i].micros, records[i].reply);
    fclose(file);
}

int main(int argc, char **argv)
{
    char *account_file = "", *recipient_file = "", *template_file = "", *patch_file = "", *log_file = "";
    int option;
    while ((option = getopt(argc, argv, "c:n:k:b:a:r:m:ft:p:o:")) != -1) {
        switch (option) {
        case 'c': sessions = atol(optarg); break;
        case 'n': messages = atol(optarg); break;
        case 'k': per_connection = atol(optarg); break;
        case 'b': first = atol(optarg); break;
        case 'a': account_file = optarg; break;
        case 'r': recipient_file = optarg; break;
        case 'm': each_goes_to = atol(optarg); break;
        case 'f': fresh = 1; break;
        case 't': template_file = optarg; break;
        case 'p': patch_file = optarg; break;
        case 'o': log_file = optarg; break;
        default: return 2;
        }
    }
    if (argc - optind != 2 || sessions < 1 || messages < 1 || each_goes_to < 1)
        fail("usage", "load HOST PORT -c SESSIONS -n MESSAGES ...");
    server.sin_family = AF_INET;
    server.sin_port = htons((unsigned short)atoi(argv[optind + 1]));
    if (inet_pton(AF_INET, argv[optind], &server.sin_addr) != 1)
        fail("usage", "HOST is an IPv4 address");
    signal(SIGPIPE, SIG_IGN);
    read_lists(account_file, recipient_file, patch_file);
    read_template(template_file);
    records = calloc(messages, sizeof *records);
    context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL); /* loopback, to a server of our own */

    pthread_barrier_init(&signed_in, NULL, sessions + 1);
    pthread_barrier_init(&started, NULL, sessions + 1);
    pthread_barrier_init(&finished, NULL, sessions + 1);
    pthread_barrier_init(&released, NULL, sessions + 1);
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, STACK);
    pthread_t *threads = calloc(sessions, sizeof *threads);
    struct session *each = calloc(sessions, sizeof *each);
    for (long i = 0; i < sessions; i++) {
        each[i].account = (int)(i % account_count);
        if (pthread_create(&threads[i], &small, play, &each[i]))
            fail("threads", "cannot be started");
    }
    meet(&signed_in, &started, "ready");
    pthread_barrier_wait(&finished);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("done %ld\n", usage.ru_utime.tv_sec * 1000000L + usage.ru_utime.tv_usec + usage.ru_stime.tv_sec * 1000000L +
                             usage.ru_stime.tv_usec);
    fflush(stdout);
    wait_for_line();
    pthread_barrier_wait(&released);
    for (long i = 0; i < sessions; i++)
        pthread_join(threads[i], NULL);
    write_log(log_file);
    return 0;
}
