#include "cmd/mount_run.h"

#include <malloc.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "cmd/command.h"
#include "cmd/owner_endpoint.h"
#include "cmd/registry.h"
#include "cmd/services.h"
#include "cmd/signal_watch.h"
#include "cmd/units.h"
#include "data/gc.h"
#include "fuse/dev_transport.h"
#include "fuse/mount.h"
#include "fuse/options.h"
#include "fuse/session.h"
#include "rpc/control.h"

namespace shoal::cmd {
namespace {

constexpr std::chrono::seconds kPredecessorWait{60};
constexpr std::chrono::seconds kGarbageInterval{60};
constexpr unsigned kReadAheadKib = 1024;

// Many threads, each with an arena of its own, would keep what any of them freed: 150,000 small
// files written took 252 MiB without this and 186 with it, for the same CPU.
void bound_malloc_arenas() { mallopt(M_ARENA_MAX, 2); }

void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// Another mount on this machine owns the volume: this one becomes its second session.
Result<MetaUrl> url_of_owner(const MetaUrl& url, const OwnerProcess& owner) {
  return MetaUrl::parse(fmt::format("shoal+unix://{}?volume={}",
                                    endpoint_place(url.folder).address.path_or_host, owner.volume));
}

// The process that owns the volume may still be flushing after its unmount: wait for it. With a
// live mount go together; `settings` then say how.
Result<std::unique_ptr<OpenVolume>> open_after_predecessor(Runtime& runtime,
                                                           MountSettings& settings) {
  const auto begin = runtime.clock.since_boot();
  const std::string volume_folder = settings.url.folder;
  for (;;) {
    Result<std::unique_ptr<OpenVolume>> volume =
        OpenVolume::open_whole(runtime, settings.url, settings.open);
    if (volume.ok() || !volume.error().is(EBUSY)) {
      end_progress();
      return volume;
    }
    const std::optional<OwnerProcess> owner = live_owner(runtime, settings.url);
    std::string what = "the previous mount of " + settings.url.to_string() + " to finish";
    if (owner && !owner->detached) {
      end_progress();
      TRY_ASSIGN(settings.url, url_of_owner(settings.url, *owner));
      runtime.remote.token_file = endpoint_place(volume_folder).token_file;
      return OpenVolume::open_whole(runtime, settings.url, settings.open);
    }
    if (owner) {
      what = fmt::format("process {}, which serves files still open below {}", owner->pid,
                         owner->mount_point);
    }
    if (runtime.clock.since_boot() - begin > kPredecessorWait) {
      if (!owner) return volume;  // it says who
      return error(EBUSY, "waited {} s for {}; see what holds them open and mount again then",
                   kPredecessorWait.count(), what);
    }
    show_progress("waiting for " + what);
    ::usleep(200'000);
  }
}

Result<Ino> resolve_subdir(OpenVolume& volume, const std::string& subdir) {
  if (subdir.empty() || subdir == "/") return kRootIno;
  meta::Request request;
  request.caller.kernel_checked = true;
  Result<meta::Attr> attr = volume.owner()->metadata().lookup_path(request, kRootIno, subdir);
  if (attr.code() == ENOENT)
    return error(ENOENT, "--subdir {}: the volume has no such directory", subdir);
  if (!attr.ok()) return attr.error().in(fmt::format("--subdir {}", subdir));
  if (!attr->is_directory())
    return error(ENOTDIR, "--subdir {}: not a directory of the volume", subdir);
  return attr->ino;
}

void collect(OpenVolume& volume) {
  data::GcOptions options;
  options.remove = true;
  const Result<data::GcReport> report = data::collect_garbage(
      volume.owner()->metadata(), volume.owner()->maintenance(), *volume.store(), volume.reader(),
      volume.volume().uuid, volume.runtime().clock, options);
  if (!report.ok()) {
    log(LogLevel::kWarn, "freeing dead segments: {}", report.error().text());
  } else if (report->removed_segments > 0) {
    log(LogLevel::kInfo, "freed {} dead segments, {}", report->removed_segments,
        format_size(report->dead_bytes));
  }
}

Result<fuse::ParsedOptions> parsed_options(const MountSettings& settings) {
  fuse::ParsedOptions parsed;
  if (settings.open.client.read_only) TRY(fuse::parse_options("ro", parsed));
  if (!settings.options.empty()) TRY(fuse::parse_options(settings.options, parsed));
  if (!parsed.other.empty()) {
    return error(EINVAL, "unknown mount option '{}'; see shoal mount --help", parsed.other.front());
  }
  return parsed;
}

}  // namespace

Status check_mount(const MountSettings& settings) {
  struct stat info {};
  if (::stat("/dev/fuse", &info) != 0) {
    return error(ENODEV,
                 "/dev/fuse is not there; load the fuse module (modprobe fuse), or in a container "
                 "add the device");
  }
  TRY(parsed_options(settings));
  if (::stat(settings.mount_point.c_str(), &info) != 0) {
    if (fuse::is_dead_mount(errno)) return {};  // detached later
    return error(errno, "mount point {}: {}{}", settings.mount_point, strerrordesc_np(errno),
                 errno == ENOENT ? "; make the directory first" : "");
  }
  if (!S_ISDIR(info.st_mode))
    return error(ENOTDIR, "mount point {} is not a directory", settings.mount_point);
  if (const auto mounted = find_mount(settings.mount_point);
      mounted.ok() && mounted->mount_point == settings.mount_point) {
    return error(EBUSY, "{} is a mount of volume '{}' already; unmount it with: shoal umount {}",
                 settings.mount_point, mounted->volume, settings.mount_point);
  }
  return {};
}

Status run_mount(Runtime& runtime, const MountSettings& settings,
                 const std::function<void()>& ready) {
  SignalWatch::block();
  raise_descriptor_limit();
  bound_malloc_arenas();
  if (::chdir("/") != 0) return error(errno, "chdir /: {}", strerrordesc_np(errno));
  TRY_ASSIGN(fuse::ParsedOptions parsed, parsed_options(settings));
  MountSettings effective = settings;
  effective.open.client.read_only |= parsed.mount.read_only();
  effective.open.mount_point = settings.mount_point;
  TRY_ASSIGN(const std::unique_ptr<OpenVolume> volume, open_after_predecessor(runtime, effective));
  TRY_ASSIGN(parsed.session.root, resolve_subdir(*volume, settings.subdir));
  if (parsed.mount.source == "shoal") parsed.mount.source = volume->volume().name;

  TRY_ASSIGN(const std::unique_ptr<fuse::Mount> mount,
             fuse::Mount::attach(settings.mount_point, parsed.mount));
  fuse::DevTransport transport(mount->take_fd());
  const auto session = fuse::Session::start(transport, *volume->client(), parsed.session);
  SignalWatch signals([&mount] {
    Status done = mount->unmount(fuse::UnmountMode::kNormal);
    if (!done.ok()) done = mount->unmount(fuse::UnmountMode::kLazy);
    if (!done.ok()) log(LogLevel::kError, "unmounting: {}", done.error().text());
  });
  TRY(session->wait_ready());
  if (Status ahead = mount->set_read_ahead(kReadAheadKib); !ahead.ok()) {
    log(LogLevel::kInfo, "read-ahead stays at the kernel's default: {}", ahead.error().text());
  }
  if (effective.url.is_remote()) TRY(make_dirs(runtime.fs, runtime_dir()));
  TRY_ASSIGN(
      const auto control,
      rpc::ControlServer::start(runtime.net, effective.url.control_address(),
                                [&volume](const std::string& command, const std::string& arguments,
                                          const Progress& progress) {
                                  return serve_command(*volume, command, arguments, progress);
                                }));
  struct stat info {};
  const bool known = ::stat(settings.mount_point.c_str(), &info) == 0;
  if (known) {
    TRY(register_mount({info.st_dev, ::getpid(), settings.mount_point, effective.url.to_string(),
                        volume->volume().name, effective.url.control_address().to_string()}));
  }
  std::unique_ptr<OwnerEndpoint> endpoint;
  if (volume->owned_here() && effective.url.kind == MetaUrl::Kind::kRocksdb) {
    TRY_ASSIGN(endpoint, OwnerEndpoint::start(*volume));
  }
  std::unique_ptr<Periodic> garbage;
  // Elsewhere one job does it for all mounts: shoal gc.
  if (settings.collect_garbage && volume->owned_here() && !effective.open.client.read_only) {
    garbage = std::make_unique<Periodic>(volume->executor(), kGarbageInterval,
                                         [&volume] { collect(*volume); });
  }
  log(LogLevel::kInfo, "volume '{}' mounted at {}", volume->volume().name, settings.mount_point);
  ready();
  Status served = session->wait();
  if (known) unregister_mount(info.st_dev);
  log(LogLevel::kInfo, "unmounted; finishing");
  return served;
}

}  // namespace shoal::cmd
