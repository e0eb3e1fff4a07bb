// A network inside of the program, and the library behind a small class of C++.
//
// net.h has the bytes of net.fnn with commas in between:   xxd -i < net.fnn > net.h
#include <fastnn.h>

#include <cstdio>
#include <stdexcept>
#include <vector>

// An image must start at such an address, in flash memory, too.
alignas(FASTNN_ALIGNMENT) static const unsigned char image[] = {
#include "net.h"
};

// A network and memory to run it in: one for each thread. The image may be shared.
class Network {
  public:
    Network(const void *image, std::size_t bytes, std::int64_t max_rows = 1) {
        check(fastnn_open(image, bytes, &net_));
        memory_.resize(fastnn_memory(&net_, max_rows));
        check(fastnn_bind(&net_, memory_.data(), memory_.size(), max_rows, &session_));
        check(fastnn_input(&net_, 0, &input));
        check(fastnn_output(&net_, 0, &output));
    }
    Network(const Network &) = delete;
    Network &operator=(const Network &) = delete;

    std::vector<float> operator()(const std::vector<float> &x) {
        std::int64_t rows = static_cast<std::int64_t>(x.size()) / input.floats;
        std::vector<float> y(static_cast<std::size_t>(rows * output.floats));
        check(fastnn_run(session_, x.data(), rows, y.data()));
        return y;
    }

    fastnn_port input, output;

  private:
    static void check(fastnn_status status) {
        if (status != FASTNN_OK) throw std::runtime_error(fastnn_message(status));
    }
    fastnn_net net_;
    fastnn_session *session_;
    std::vector<char> memory_; // of any alignment
};

int main() {
    try {
        Network network(image, sizeof image);
        std::vector<float> x;
        for (float value; std::scanf(" %f ,", &value) == 1;) x.push_back(value);
        std::vector<float> y = network(x);
        std::size_t n = static_cast<std::size_t>(network.output.floats);
        for (std::size_t i = 0; i < y.size(); i++)
            std::printf("%.9g%c", static_cast<double>(y[i]), (i + 1) % n ? ' ' : '\n');
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
