// shoal status, stats, version: what a volume is and how it does.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "cmd/command.h"
#include "cmd/service_handlers.h"
#include "cmd/units.h"
#include "format/keys.h"
#include "fuse/mount_table.h"

namespace shoal::cmd {
namespace {

bool is_detached(const std::string& mount_point) {
  const auto table = fuse::read_mount_table();
  if (!table.ok()) return false;
  const auto entry = fuse::find_mount(*table, mount_point);
  return !entry || !entry->type.starts_with("fuse.shoal");
}

Result<meta::VolumeUsage> usage_of(OpenVolume& volume) {
  if (volume.owner() != nullptr) return volume.owner()->metadata().usage();
  meta::VolumeUsage usage;
  usage.capacity_bytes = volume.volume().capacity_bytes;
  usage.inodes_max = volume.volume().inodes_max;
  uint64_t* const slots[] = {&usage.used_bytes, &usage.inodes, &usage.trash_bytes,
                             &usage.trash_inodes};
  for (uint16_t slot = 0; slot < 4; ++slot) {
    TRY_ASSIGN(const int64_t value,
               engine::read_counter(volume.engine(), nullptr, format::usage_key(0, slot)));
    *slots[slot] = static_cast<uint64_t>(std::max<int64_t>(value, 0));
  }
  return usage;
}

Json staging_json(const data::StagingStatus& staging) {
  Json json;
  json["bytes"] = staging.bytes;
  json["segments_waiting"] = staging.segments_waiting;
  json["uploads_running"] = staging.uploads_running;
  json["stored_segments"] = staging.stored_segments;
  json["stored_bytes"] = staging.stored_bytes;
  json["upload_error"] = staging.upload_error;
  json["upload_error_seconds"] = staging.upload_error_age.count() / 1'000'000'000;
  json["oldest_seconds"] = staging.oldest_age.count() / 1'000'000'000;
  return json;
}

Json counts_json(const object::RequestCounts& counts) {
  return {{"put", counts.put},          {"get", counts.get},
          {"head", counts.head},        {"remove", counts.remove},
          {"list", counts.list},        {"multipart", counts.multipart},
          {"retries", counts.retries},  {"bytes_out", counts.bytes_out},
          {"bytes_in", counts.bytes_in}};
}

}  // namespace

Result<Json> serve_status(OpenVolume& volume, const Json&, const ProgressJson&) {
  Json json;
  const format::Volume& record = volume.volume();
  json["volume"] = record.name;
  json["uuid"] = record.uuid.to_string();
  json["metadata"] = volume.url().to_string();
  json["bucket"] = record.bucket;
  json["durability"] = durability_name(record.durability);
  json["trash_days"] = record.trash_days;
  json["epoch"] = record.epoch;
  json["created"] = time_text(record.created);
  if (record.moved) json["moved_away"] = time_text(*record.moved);
  TRY_ASSIGN(const meta::VolumeUsage usage, usage_of(volume));
  json["used_bytes"] = usage.used_bytes;
  json["inodes"] = usage.inodes;
  json["trash_bytes"] = usage.trash_bytes;
  json["trash_inodes"] = usage.trash_inodes;
  json["capacity_bytes"] = usage.capacity_bytes;
  json["inodes_max"] = usage.inodes_max;
  TRY_ASSIGN(json["metadata_disk_bytes"], volume.engine().disk_bytes());
  json["owner_pid"] = volume.owned_here() ? static_cast<int64_t>(getpid()) : int64_t{0};
  json["mount_point"] = volume.mount_point;
  // After umount -l programs go on with the files that they have open.
  json["detached"] = !volume.mount_point.empty() && is_detached(volume.mount_point);
  if (volume.client() != nullptr) {
    const client::ClientStatus status = volume.client()->status();
    json["open_files"] = status.open_files;
    json["uncommitted_operations"] = status.uncommitted_operations;
    json["buffered_bytes"] = status.buffered_bytes;
    json["staging"] = staging_json(status.staging);
  }
  return json;
}

Result<Json> serve_stats(OpenVolume& volume, const Json&, const ProgressJson&) {
  if (volume.client() == nullptr)
    return error(ENOTCONN, "the volume is not mounted; stats are of a live mount");
  const client::ClientStatus status = volume.client()->status();
  Json json;
  json["open_files"] = status.open_files;
  json["uncommitted_operations"] = status.uncommitted_operations;
  json["buffered_bytes"] = status.buffered_bytes;
  json["staging"] = staging_json(status.staging);
  json["read"] = {
      {"staged_bytes", status.reads.staged_bytes}, {"memory_bytes", status.reads.memory_bytes},
      {"disk_bytes", status.reads.disk_bytes},     {"store_bytes", status.reads.store_bytes},
      {"store_gets", status.reads.store_gets},     {"crc_errors", status.reads.crc_errors},
      {"retries", status.reads.retries},           {"holder_bytes", status.reads.holder_bytes}};
  json["cache"] = {{"capacity_bytes", status.cache.capacity_bytes},
                   {"used_bytes", status.cache.used_bytes},
                   {"hits", status.cache.hits},
                   {"misses", status.cache.misses},
                   {"fills", status.cache.fills},
                   {"evictions", status.cache.evictions},
                   {"crc_errors", status.cache.crc_errors},
                   {"io_errors", status.cache.io_errors},
                   {"degraded", status.cache.degraded}};
  if (volume.store() != nullptr) json["requests"] = counts_json(volume.store()->counts());
  return json;
}

void add_status(CLI::App& app, Context& context) {
  auto url = std::make_shared<std::string>();
  CLI::App* sub =
      app.add_subcommand("status", "Show a volume: settings, usage, what waits for the bucket");
  sub->add_option("META-URL", *url, kMetaUrlHelp)->required();
  sub->callback([&context, url] {
    context.run = [&context, url]() -> Status {
      TRY_ASSIGN(const MetaUrl meta_url, MetaUrl::parse(*url));
      TRY_ASSIGN(const std::string json,
                 run_on_volume(context.runtime, meta_url, Need::kRead, "status", "{}"));
      print_facts(context, json);
      return {};
    };
  });
}

void add_stats(CLI::App& app, Context& context) {
  auto path = std::make_shared<std::string>();
  CLI::App* sub = app.add_subcommand(
      "stats", "Show counters of a live mount: where bytes came from, requests sent");
  sub->add_option("MOUNTPOINT", *path, "any path on the mount")->required();
  sub->callback([&context, path] {
    context.run = [&context, path]() -> Status {
      TRY_ASSIGN(const std::string json, run_on_mount(context.runtime, *path, "stats", "{}"));
      print_facts(context, json);
      return {};
    };
  });
}

}  // namespace shoal::cmd
