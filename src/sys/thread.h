// A named thread that is always joined. The only place where threads are made.
#pragma once

#include <functional>
#include <string>
#include <thread>

namespace shoal {

class Thread {
 public:
  Thread() = default;
  // `name` is cut to the 15 bytes that the kernel shows.
  Thread(std::string name, std::function<void()> body);
  Thread(Thread&&) = default;
  Thread& operator=(Thread&& other) noexcept;
  ~Thread();

  bool joinable() const { return thread_.joinable(); }
  void join();

 private:
  std::thread thread_;
};

}  // namespace shoal
