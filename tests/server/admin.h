/* Admin: owns the monitor, the workers and the web page, and takes them down: in the right order,
 * or with the mistake that was selected. */
#ifndef SERVER_ADMIN_H
#define SERVER_ADMIN_H

#include "mistake.h"
#include "monitor.h"
#include "web.h"
#include "workers.h"

namespace server
{

class Admin
{
    Mistake mistake;
    Statistics *statistics;
    Monitor *monitor;
    Workers *workers;
    int port = 0, web_port = 0;
    Web *web; // only when the page is on

    void shut_down_rightly();
    void shut_down_with_mistake();

  public:
    Admin(Mistake selected, bool with_web);
    ~Admin();
    void start(int wanted_port, int page_port, unsigned worker_count);
};

/* Admin's end as an exit handler, for programs that end from a worker. */
void exit_from_worker(Monitor *monitor);

} // namespace server

#endif
