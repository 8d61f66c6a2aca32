// shoal umount: waits until what was written is in the bucket, then unmounts.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>

#include "cmd/command.h"
#include "cmd/registry.h"
#include "cmd/services.h"
#include "fuse/mount.h"
#include "fuse/mount_table.h"

namespace shoal::cmd {
namespace {

constexpr std::chrono::seconds kExitWait{120};

Status wait_for_exit(Runtime& runtime, int64_t pid) {
  const auto begin = runtime.clock.since_boot();
  while (process_alive(pid)) {
    const auto waited = runtime.clock.since_boot() - begin;
    if (waited > kExitWait) {
      return error(ETIMEDOUT, "process {} still works after {} s; it goes on by itself", pid,
                   kExitWait.count());
    }
    if (waited > std::chrono::seconds(1)) {
      show_progress(fmt::format("waiting for process {} to finish ({} s)", pid,
                                std::chrono::duration_cast<std::chrono::seconds>(waited).count()));
    }
    ::usleep(20'000);
  }
  end_progress();
  return {};
}

Status run_umount(Context& context, const std::string& path, bool force) {
  std::string mount_point = std::filesystem::absolute(path).lexically_normal().string();
  while (mount_point.size() > 1 && mount_point.back() == '/') mount_point.pop_back();
  Result<MountRecord> mount = find_mount(mount_point);
  if (mount.ok() && mount->mount_point != mount_point) {
    return error(EINVAL, "{} is not a mount point; the mount is at {}", mount_point,
                 mount->mount_point);
  }
  if (!mount.ok()) {  // dead, or never ours: the kernel knows
    TRY_ASSIGN(const auto table, fuse::read_mount_table());
    const std::optional<fuse::MountEntry> entry = fuse::find_mount(table, mount_point);
    if (!entry) return mount.error();
    if (entry->type != fuse::kMountType) {
      return error(EINVAL, "{} is a mount of {} ({}), not of Shoal; use umount(8)", mount_point,
                   entry->source, entry->type);
    }
    return fuse::unmount(mount_point, fuse::UnmountMode::kLazy);
  }
  if (!force) TRY(run_on_mount(context.runtime, mount_point, "flush", "{}"));
  const Status unmounted =
      fuse::unmount(mount_point, force ? fuse::UnmountMode::kLazy : fuse::UnmountMode::kNormal);
  if (unmounted.code() == EBUSY)
    return error(EBUSY, "{}; close them, or use --force", unmounted.error().text());
  TRY(unmounted);
  return wait_for_exit(context.runtime, mount->pid);
}

}  // namespace

void add_umount(CLI::App& app, Context& context) {
  auto path = std::make_shared<std::string>();
  auto force = std::make_shared<bool>(false);
  CLI::App* sub =
      app.add_subcommand("umount", "Unmount, after everything written is in the bucket");
  sub->add_option("MOUNTPOINT", *path)->required();
  sub->add_flag("--force", *force,
                "do not wait for the bucket (what is staged is uploaded by the next mount), "
                "unmount even when busy");
  sub->callback([&context, path, force] {
    context.run = [&context, path, force] { return run_umount(context, *path, *force); };
  });
}

}  // namespace shoal::cmd
