#include "metasvc/open_counts.h"

#include "metasvc/codec.h"

namespace shoal::metasvc {

void OpenCounts::add(Ino ino, bool write, int by) {
  MutexLock lock(mutex_);
  meta::HeldOpen& held = open_[ino];
  held.ino = ino;
  uint64_t& count = write ? held.writes : held.reads;
  if (by > 0 || count > 0) count += static_cast<uint64_t>(by);
  if (held.reads == 0 && held.writes == 0) open_.erase(ino);
}

void OpenCounts::answered(uint16_t method, const std::string& body, const std::string& reply) {
  switch (method) {
    case Open::kNumber: {
      const auto asked = decode<Asked<Open>>(body);
      if (asked.ok()) add(asked->arguments.ino, asked->arguments.flags.write, 1);
      return;
    }
    case Release::kNumber: {
      const auto asked = decode<Asked<Release>>(body);
      if (asked.ok()) add(asked->arguments.ino, asked->arguments.flags.write, -1);
      return;
    }
    case Create::kNumber: {
      const auto asked = decode<Asked<Create>>(body);
      const auto created = decode<meta::Created>(reply);
      if (asked.ok() && created.ok())
        add(created->opened.attr.ino, asked->arguments.flags.write, 1);
      return;
    }
    case CreateUnnamed::kNumber: {
      const auto asked = decode<Asked<CreateUnnamed>>(body);
      const auto opened = decode<meta::Opened>(reply);
      if (asked.ok() && opened.ok()) add(opened->attr.ino, asked->arguments.flags.write, 1);
      return;
    }
    case CreateMany::kNumber: {
      const auto created = decode<CreateMany::Reply>(reply);
      for (size_t i = 0; created.ok() && i < created->size(); ++i) {
        if ((*created)[i].ok()) add((*created)[i]->opened.attr.ino, true, 1);
      }
      return;
    }
    default:
      return;
  }
}

std::vector<meta::HeldOpen> OpenCounts::all() const {
  std::vector<meta::HeldOpen> all;
  MutexLock lock(mutex_);
  for (const auto& [ino, held] : open_) all.push_back(held);
  return all;
}

}  // namespace shoal::metasvc
