// Mounts the toy file system of the tests through the real kernel and uses it with system calls.
// Run by ctest under the label "mount"; needs /dev/fuse, as root or with fusermount3.
//
//   fuse_smoke                 every check; prints the first that fails
//   fuse_smoke bench [READERS]  CPU per GETATTR round trip, both sides; create + write + close
#include <dirent.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>

#include "fuse/dev_transport.h"
#include "fuse/fake_client_test_util.h"
#include "fuse/mount.h"
#include "fuse/session.h"

namespace shoal::fuse {
namespace {

std::string mounted_at;  // what to abort when a check fails

void expect(bool holds, const char* what, int line) {
  if (holds) return;
  std::fprintf(stderr, "line %d: %s does not hold (errno %s)\n", line, what,
               errno_name(errno).c_str());
  if (!mounted_at.empty()) (void)unmount(mounted_at, UnmountMode::kForce).code();
  std::_Exit(1);
}
#define EXPECT(condition) expect((condition), #condition, __LINE__)

// The file system, in a process of its own: a process that holds /dev/fuse open cannot end while
// its own exit waits for an answer from it, and every fork of the server would hold it.
class Server {
 public:
  Server(const std::string& folder, const ParsedOptions& options) : folder_(folder) {
    int pipe_fds[2];
    EXPECT(::pipe2(pipe_fds, O_CLOEXEC) == 0);
    pid_ = ::fork();
    if (pid_ == 0) std::_Exit(serve(folder, options, pipe_fds[1]));
    ::close(pipe_fds[1]);
    char byte = 0;
    EXPECT(::read(pipe_fds[0], &byte, 1) == 1);  // it answers
    ::close(pipe_fds[0]);
    mounted_at = folder;
  }
  void stop() {
    const Status unmounted = unmount(folder_, UnmountMode::kNormal);
    if (!unmounted.ok()) std::fprintf(stderr, "%s\n", unmounted.error().text().c_str());
    EXPECT(unmounted.ok());
    mounted_at.clear();
    int state = 0;
    EXPECT(::waitpid(pid_, &state, 0) == pid_ && state == 0);
  }
  double cpu_seconds() const {
    clockid_t clock;
    EXPECT(::clock_getcpuclockid(pid_, &clock) == 0);
    timespec time;
    EXPECT(::clock_gettime(clock, &time) == 0);  // tidy: allow(words) a test program
    return double(time.tv_sec) + double(time.tv_nsec) / 1e9;
  }

 private:
  static int serve(const std::string& folder, const ParsedOptions& options, int ready) {
    EXPECT(::chdir("/") == 0);
    FakeClient client;
    client::SetAttrRequest mine;
    mine.attr.uid = ::geteuid();
    EXPECT(client.setattr({}, kRootIno, mine).ok());
    auto mount = Mount::attach(folder, options.mount);
    if (!mount.ok()) std::fprintf(stderr, "%s\n", mount.error().text().c_str());
    EXPECT(mount.ok());
    DevTransport device((*mount)->take_fd());
    const auto session = Session::start(device, client, options.session);
    EXPECT(session->wait_ready().ok());
    const Status read_ahead = (*mount)->set_read_ahead(1024);
    EXPECT(read_ahead.ok() || ::geteuid() != 0);
    EXPECT(::write(ready, "r", 1) == 1);
    const Status end = session->wait();
    EXPECT(end.ok());
    EXPECT(client.open_handles() == 0);
    const auto counts = session->requests();
    std::printf(
        "server: GETATTR %lu, FLUSH %lu, RELEASE %lu, CREATE %lu, WRITE %lu, LOOKUP %lu; %d "
        "threads\n",
        counts[FUSE_GETATTR] + counts[kOpStatx], counts[FUSE_FLUSH], counts[FUSE_RELEASE],
        counts[FUSE_CREATE], counts[FUSE_WRITE], counts[FUSE_LOOKUP], session->threads());
    std::fflush(stdout);
    return 0;
  }
  const std::string folder_;
  pid_t pid_ = -1;
};

std::string read_all(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  EXPECT(fd >= 0);
  std::string text(1 << 20, '\0');
  const ssize_t n = ::read(fd, text.data(), text.size());
  EXPECT(n >= 0);
  text.resize(static_cast<size_t>(n));
  ::close(fd);
  return text;
}

void write_new(const std::string& path, const std::string& text) {
  const int fd = ::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
  EXPECT(fd >= 0);
  EXPECT(::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  EXPECT(::close(fd) == 0);
}

void check_files(const std::string& root) {
  const std::string a = root + "/a";
  const std::string b = root + "/b";
  write_new(a, "hello");
  EXPECT(read_all(a) == "hello");
  struct stat info;
  EXPECT(::stat(a.c_str(), &info) == 0 && info.st_size == 5 && (info.st_mode & 0777) == 0644);
  EXPECT(::stat((root + "/absent").c_str(), &info) < 0 && errno == ENOENT);
  write_new(root + "/absent", "");  // the cached "no such name" is gone
  EXPECT(::rename(a.c_str(), b.c_str()) == 0);
  EXPECT(::stat(a.c_str(), &info) < 0 && errno == ENOENT);
  EXPECT(::link(b.c_str(), a.c_str()) == 0);
  EXPECT(::stat(b.c_str(), &info) == 0 && info.st_nlink == 2);
  EXPECT(::syscall(SYS_renameat2, AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_NOREPLACE) < 0);
  EXPECT(errno == EEXIST);
  EXPECT(::unlink(a.c_str()) == 0);
  EXPECT(::stat(b.c_str(), &info) == 0 &&
         info.st_nlink == 1);  // at once, though cached for an hour
  EXPECT(::symlink("b", a.c_str()) == 0);
  EXPECT(read_all(a) == "hello");
  EXPECT(::mkdir((root + "/d").c_str(), 0750) == 0);
  EXPECT(::rmdir((root + "/d").c_str()) == 0);
  EXPECT(::mknod((root + "/null").c_str(), S_IFCHR | 0666, makedev(1, 3)) == 0 || ::geteuid() != 0);
  if (::geteuid() == 0) {
    EXPECT(::stat((root + "/null").c_str(), &info) == 0 && info.st_rdev == makedev(1, 3));
  }
  const int open_and_gone = ::open(b.c_str(), O_RDWR | O_CLOEXEC);
  EXPECT(::unlink(b.c_str()) == 0);
  EXPECT(::fstat(open_and_gone, &info) == 0 && info.st_nlink == 0);
  EXPECT(::ftruncate(open_and_gone, 3) == 0);
  EXPECT(::fstat(open_and_gone, &info) == 0 && info.st_size == 3);
  ::close(open_and_gone);
  struct statvfs numbers;
  EXPECT(::statvfs(root.c_str(), &numbers) == 0 && numbers.f_namemax == 255);
}

void check_data(const std::string& root) {
  const std::string path = root + "/data";
  const int fd = ::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
  std::string pattern(2 << 20, '\0');
  for (size_t i = 0; i < pattern.size(); ++i) pattern[i] = static_cast<char>(i * 31 >> 3);
  EXPECT(::pwrite(fd, pattern.data(), pattern.size(), 0) == static_cast<ssize_t>(pattern.size()));
  std::string again(pattern.size(), '\0');
  EXPECT(::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
  EXPECT(::pread(fd, again.data(), again.size(), 0) == static_cast<ssize_t>(again.size()));
  EXPECT(again == pattern);
  EXPECT(::fsync(fd) == 0 && ::fdatasync(fd) == 0);
  EXPECT(::fallocate(fd, 0, 0, 3 << 20) == 0);
  EXPECT(::fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096) < 0 && errno == EOPNOTSUPP);
  EXPECT(::lseek(fd, 0, SEEK_HOLE) == 3 << 20);
  auto* const mapped =
      static_cast<char*>(::mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  EXPECT(mapped != MAP_FAILED);
  // An O_APPEND handle is open too: the page still goes to its place.
  const int append = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  mapped[4096] = 'M';
  EXPECT(::msync(mapped, 8192, MS_SYNC) == 0);
  struct stat info;
  EXPECT(::fstat(fd, &info) == 0 && info.st_size == 3 << 20);
  EXPECT(::write(append, "end", 3) == 3);
  EXPECT(::fstat(fd, &info) == 0 && info.st_size == (3 << 20) + 3);
  ::munmap(mapped, 8192);
  ::close(append);
  const int copy = ::open((root + "/copy").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
  off_t from = 0;
  EXPECT(::copy_file_range(fd, &from, copy, nullptr, 1 << 20, 0) == 1 << 20);
  EXPECT(::pread(copy, again.data(), 4096, 4096) == 4096 && again[0] == 'M');
  ::close(copy);
  ::close(fd);
}

void check_attributes(const std::string& root) {
  const std::string path = root + "/attributes";
  write_new(path, "x");
  const timespec times[2] = {{-86'400, 5}, {5'000'000'000, 6}};
  EXPECT(::utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
  struct stat info;
  EXPECT(::stat(path.c_str(), &info) == 0 && info.st_atime == -86'400 &&
         info.st_mtime == 5'000'000'000);
  struct statx extended;
  EXPECT(::statx(AT_FDCWD, path.c_str(), AT_STATX_FORCE_SYNC, STATX_ALL, &extended) == 0);
  EXPECT((extended.stx_mask & STATX_BTIME) != 0 && extended.stx_btime.tv_nsec == 7);
  char value[16];
  EXPECT(::setxattr(path.c_str(), "user.k", "v1", 2, XATTR_CREATE) == 0);
  EXPECT(::setxattr(path.c_str(), "user.k", "v1", 2, XATTR_CREATE) < 0 && errno == EEXIST);
  EXPECT(::getxattr(path.c_str(), "user.k", nullptr, 0) == 2);
  EXPECT(::getxattr(path.c_str(), "user.k", value, 1) < 0 && errno == ERANGE);
  EXPECT(::getxattr(path.c_str(), "user.k", value, sizeof value) == 2);
  EXPECT(::listxattr(path.c_str(), value, sizeof value) == 7);
  EXPECT(::removexattr(path.c_str(), "user.k") == 0);
  EXPECT(::getxattr(path.c_str(), "user.k", value, sizeof value) < 0 && errno == ENODATA);
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  int flags = 0;
  EXPECT(::ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && flags == 0);
  flags = FS_NODUMP_FL;
  EXPECT(::ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0);
  flags = 0;
  EXPECT(::ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && flags == FS_NODUMP_FL);
  EXPECT(::ioctl(fd, FS_IOC_FIEMAP, &flags) < 0);
  ::close(fd);
  if (::geteuid() != 0) return;
  // Privileges go with a write by somebody else, and are seen to be gone in the kernel's cache of
  // an hour.
  EXPECT(::chmod(path.c_str(), 06777) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const int mine = ::setresuid(65'534, 65'534, 65'534) == 0 ? ::open(path.c_str(), O_WRONLY) : -1;
    ::_exit(mine >= 0 && ::write(mine, "y", 1) == 1 ? 0 : 1);
  }
  int state = 0;
  EXPECT(::waitpid(child, &state, 0) == child && state == 0);
  EXPECT(::statx(AT_FDCWD, path.c_str(), AT_STATX_DONT_SYNC, STATX_MODE, &extended) == 0);
  EXPECT((extended.stx_mode & 07777) == 0777);
}

void check_locks(const std::string& root) {
  const std::string path = root + "/locks";
  write_new(path, "");
  const int mine = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  const int other = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  EXPECT(::flock(mine, LOCK_EX) == 0);
  EXPECT(::flock(other, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK);
  const pid_t child = ::fork();  // waits for the lock, without holding a thread of ours
  if (child == 0) {
    const int fd = ::open(path.c_str(), O_RDWR);
    ::_exit(::flock(fd, LOCK_EX) == 0 ? 0 : 1);
  }
  EXPECT(::flock(mine, LOCK_UN) == 0);
  int state = 0;
  EXPECT(::waitpid(child, &state, 0) == child && state == 0);
  struct flock range {};
  range.l_type = F_WRLCK;
  EXPECT(::fcntl(mine, F_OFD_SETLK, &range) == 0);
  EXPECT(::fcntl(other, F_OFD_SETLK, &range) < 0 && errno == EAGAIN);
  ::close(mine);  // an OFD lock ends with its open file
  EXPECT(::fcntl(other, F_OFD_SETLK, &range) == 0);
  ::close(other);
  // A wait that a signal ends.
  const int holder = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  EXPECT(::flock(holder, LOCK_EX) == 0);
  const pid_t waiter = ::fork();
  if (waiter == 0) {
    ::signal(SIGALRM, SIG_DFL);
    ::alarm(1);
    const int fd = ::open(path.c_str(), O_RDWR);
    ::flock(fd, LOCK_EX);
    ::_exit(1);
  }
  EXPECT(::waitpid(waiter, &state, 0) == waiter && WIFSIGNALED(state) &&
         WTERMSIG(state) == SIGALRM);
  ::close(holder);
}

void check_directories(const std::string& root) {
  const std::string folder = root + "/many";
  EXPECT(::mkdir(folder.c_str(), 0755) == 0);
  constexpr int kFiles = 3000;
  for (int i = 0; i < kFiles; ++i) {
    char name[32];
    std::snprintf(name, sizeof name, "/f%05d", i);
    write_new(folder + name, "");
  }
  DIR* const one = ::opendir(folder.c_str());
  DIR* const two = ::opendir(folder.c_str());
  std::set<std::string> seen;
  for (int i = 0; i < 1500; ++i) EXPECT(seen.insert(::readdir(one)->d_name).second);
  const long place = ::telldir(one);  // NOLINT(google-runtime-int)
  for (int i = 0; i < 700; ++i) ::readdir(two);
  const int drop = ::open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
  if (drop >= 0) EXPECT(::write(drop, "2", 1) == 1);
  ::close(drop);
  for (int i = 0; i < 1000; ++i) {  // what was listed already goes
    char name[32];
    std::snprintf(name, sizeof name, "/f%05d", i);
    EXPECT(::unlink((folder + name).c_str()) == 0);
  }
  ::seekdir(one, place);
  while (const dirent* entry = ::readdir(one)) EXPECT(seen.insert(entry->d_name).second);
  EXPECT(seen.size() == kFiles + 2);
  std::set<std::string> rest;
  while (const dirent* entry = ::readdir(two)) EXPECT(rest.insert(entry->d_name).second);
  for (int i = 1000; i < kFiles; ++i) {
    char name[32];
    std::snprintf(name, sizeof name, "f%05d", i);
    EXPECT(rest.contains(name));
  }
  ::closedir(one);
  ::closedir(two);
}

double cpu_seconds() {
  rusage usage;
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return double(time.tv_sec) + double(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double now_seconds() {
  timespec time;
  ::clock_gettime(CLOCK_MONOTONIC, &time);  // tidy: allow(words) a test program
  return double(time.tv_sec) + double(time.tv_nsec) / 1e9;
}

template <typename Body>
void measure(const Server& server, const char* what, int count, const Body& body) {
  const double ours = cpu_seconds();
  const double theirs = server.cpu_seconds();
  const double begin = now_seconds();
  for (int i = 0; i < count; ++i) body(i);
  const double wall = now_seconds() - begin;
  std::printf("%-28s CPU %6.2f us program + %6.2f us server, %7.2f us elapsed\n", what,
              (cpu_seconds() - ours) / count * 1e6, (server.cpu_seconds() - theirs) / count * 1e6,
              wall / count * 1e6);
}

int bench(const std::string& folder, int readers) {
  ParsedOptions options;
  options.session.workers.waiting_min = readers;
  Server server(folder, options);
  const std::string path = folder + "/file";
  write_new(path, "x");
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  for (int round = 0; round < 3; ++round) {
    measure(server, "statx, FORCE_SYNC", 200'000, [&](int) {
      struct statx info;
      EXPECT(::statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &info) == 0);
    });
    measure(server, "create, write 4 KiB, close", 10'000, [&](int i) {
      static const std::string bytes(4096, 'x');
      const std::string name = folder + "/n" + std::to_string(round) + "_" + std::to_string(i);
      const int file = ::open(name.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
      EXPECT(::write(file, bytes.data(), bytes.size()) == 4096);
      ::close(file);
    });
  }
  ::close(fd);
  server.stop();
  return 0;
}

int smoke(const std::string& folder) {
  const pid_t dying = ::fork();  // leaves a dead mount behind, which ours must replace
  if (dying == 0) {
    ParsedOptions options;
    auto mount = Mount::attach(folder, options.mount);
    if (!mount.ok()) std::fprintf(stderr, "%s\n", mount.error().text().c_str());
    ::_exit(mount.ok() ? 0 : 1);
  }
  int state = 0;
  EXPECT(::waitpid(dying, &state, 0) == dying && state == 0);
  ParsedOptions options;
  EXPECT(parse_options("fsname=toy,noatime,threads=8", options).ok());
  Server server(folder, options);
  const auto twice = Mount::attach(folder, options.mount);
  EXPECT(twice.code() == EBUSY);
  std::printf("a second mount: %s\n", twice.error().text().c_str());
  check_files(folder);
  check_data(folder);
  check_attributes(folder);
  check_locks(folder);
  check_directories(folder);
  const int busy = ::open((folder + "/data").c_str(), O_RDONLY | O_CLOEXEC);
  EXPECT(unmount(folder, UnmountMode::kNormal).code() == EBUSY);
  ::close(busy);
  server.stop();
  const Status absent = unmount(folder, UnmountMode::kNormal);
  EXPECT(!absent.ok());
  std::printf("unmounted; once more: %s\nall checks passed\n", absent.error().text().c_str());
  return 0;
}

int run(int argc, char** argv) {
  char scratch[] = "/tmp/shoal-smoke-XXXXXX";
  const char* const made = ::mkdtemp(scratch);
  EXPECT(made != nullptr);
  const std::string folder = made;
  const bool wants_bench = argc > 1 && std::string(argv[1]) == "bench";
  ::alarm(100);  // a lost reply must not hang the tests: dying aborts nothing, so say where
  ::signal(SIGALRM, [](int) { expect(false, "an end in 100 s", 0); });
  const int code = wants_bench
                       ? bench(folder, argc > 2 ? std::atoi(argv[2]) : WorkerOptions{}.waiting_min)
                       : smoke(folder);
  ::rmdir(folder.c_str());
  return code;
}

}  // namespace
}  // namespace shoal::fuse

int main(int argc, char** argv) { return shoal::fuse::run(argc, argv); }
