// shoal lost: which files have bytes that nobody can read now.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "cmd/command.h"
#include "cmd/remote_volume.h"
#include "cmd/service_handlers.h"
#include "cmd/units.h"
#include "data/holders.h"
#include "data/lost.h"
#include "meta/access_token.h"

namespace shoal::cmd {
namespace {

constexpr std::chrono::milliseconds kAnswerMax{5'000};
constexpr int kThreads = 4;

Result<std::string> token_of(OpenVolume& volume) {
  if (volume.url().is_remote()) return find_token(volume.runtime().remote, volume.url().volume);
  Result<std::string> token = meta::read_access_token(volume.engine());
  return token.code() == ENOENT ? std::string() : token;
}

Json file_json(OpenVolume& volume, const data::LostFile& file) {
  const Result<std::string> path = volume.owner()->maintenance().path_of(file.ino);
  Json json{{"path", path.ok() ? Json(*path) : Json()}, {"ino", file.ino}, {"bytes", file.bytes}};
  json["ranges"] = Json::array();
  for (const auto& [offset, length] : file.ranges)
    json["ranges"].push_back({{"offset", offset}, {"bytes", length}});
  return json;
}

Json store_json(const data::LostStore& lost) {
  return {{"host", lost.store.host},   {"folder", lost.store.path}, {"address", lost.store.address},
          {"segments", lost.segments}, {"bytes", lost.bytes},       {"why", lost.why}};
}

void print_report(const Json& report) {
  for (const Json& store : report["stores"]) {
    std::printf("host %s, staging folder %s: %s of files in %s segments: %s\n",
                store["host"].get<std::string>().c_str(),
                store["folder"].get<std::string>().c_str(),
                format_size(store["bytes"].get<uint64_t>()).c_str(),
                format_count(store["segments"].get<uint64_t>()).c_str(),
                store["why"].get<std::string>().c_str());
  }
  for (const Json& file : report["files"]) {
    const std::string path =
        file["path"].is_string() ? file["path"].get<std::string>() : "(no name, or in the trash)";
    std::printf("%s  inode %llu:", path.c_str(), file["ino"].get<unsigned long long>());  // NOLINT
    for (const Json& range : file["ranges"])
      std::printf(" %s+%s", range["offset"].dump().c_str(), range["bytes"].dump().c_str());
    std::printf("\n");
  }
  if (report["more"].get<bool>()) std::printf("and more files\n");
}

}  // namespace

Result<Json> serve_lost(OpenVolume& volume, const Json&, const ProgressJson&) {
  ThreadPool executor("lost", kThreads);
  Runtime& runtime = volume.runtime();
  TRY_ASSIGN(const std::string token, token_of(volume));
  const std::string name = volume.url().is_remote() ? volume.url().volume : volume.volume().name;
  Json json;
  {
    data::Holders holders({runtime.net, executor, runtime.clock, runtime.random},
                          volume.owner()->metadata(),
                          {name, token, host_name() + " shoal lost", kAnswerMax});
    data::LostCheck check;
    check.has = [&](const format::StoreRecord& store, const SegmentId& id) -> Result<bool> {
      // An embedded volume's: whoever mounts it there has it.
      if (store.address.empty() && store.host == host_name()) return exists(runtime.fs, store.path);
      return holders.holds(store.address, id);
    };
    TRY_ASSIGN(const data::LostReport report, data::find_lost(volume.engine(), check));
    json["bytes"] = report.bytes;
    json["stores"] = Json::array();
    for (const data::LostStore& store : report.stores) json["stores"].push_back(store_json(store));
    json["files"] = Json::array();
    for (const data::LostFile& file : report.files)
      json["files"].push_back(file_json(volume, file));
    json["more"] = report.more;
  }
  executor.stop();
  return json;
}

void add_lost(CLI::App& app, Context& context) {
  auto given = std::make_shared<std::string>();
  CLI::App* sub = app.add_subcommand(
      "lost",
      "Which files have bytes that only a mount has which does not answer, or that were "
      "given up");
  sub->add_option("META-URL", *given, kMetaUrlHelp)->required();
  sub->footer(
      "Ranges are OFFSET+BYTES. A node that comes back with its disks brings its bytes back.\n"
      "Exit status 1 when something is lost.");
  sub->callback([&context, given] {
    context.run = [&context, given]() -> Status {
      TRY_ASSIGN(const MetaUrl url, MetaUrl::parse(*given));
      TRY_ASSIGN(const std::string text,
                 run_on_volume(context.runtime, url, url.is_remote() ? Need::kRead : Need::kOwn,
                               "lost", "{}"));
      const Json report = Json::parse(text, nullptr, false);
      if (context.json) {
        print_facts(context, text);
      } else {
        print_report(report);
      }
      const uint64_t bytes = report.value("bytes", uint64_t{0});
      if (bytes > 0) return error(EUCLEAN, "{} of files cannot be read", format_size(bytes));
      if (!context.json) std::printf("nothing is lost\n");
      return {};
    };
  });
}

}  // namespace shoal::cmd
