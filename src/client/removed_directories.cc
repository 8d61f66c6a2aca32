#include "client/removed_directories.h"

namespace shoal::client {

void RemovedDirectories::add(const meta::Attr& attr) {
  if (!attr.is_directory()) return;
  MutexLock lock(mutex_);
  meta::Attr& kept = attributes_[attr.ino];
  kept = attr;
  kept.nlink = 0;
  order_.push_back(attr.ino);
  while (order_.size() > kMax) {
    attributes_.erase(order_.front());
    order_.pop_front();
  }
}

std::optional<meta::Attr> RemovedDirectories::find(Ino ino) const {
  MutexLock lock(mutex_);
  const auto at = attributes_.find(ino);
  if (at == attributes_.end()) return std::nullopt;
  return at->second;
}

void RemovedDirectories::forgotten(Ino ino) {
  MutexLock lock(mutex_);
  if (!attributes_.empty()) attributes_.erase(ino);
}

size_t RemovedDirectories::size() const {
  MutexLock lock(mutex_);
  return attributes_.size();
}

}  // namespace shoal::client
