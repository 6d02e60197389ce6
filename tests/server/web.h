/* Web: the statistics page, served by libmicrohttpd in threads of its own. */
#ifndef SERVER_WEB_H
#define SERVER_WEB_H

#include "statistics.h"

struct MHD_Daemon;

namespace server
{

class Web
{
    MHD_Daemon *daemon = nullptr;
    Statistics *statistics;

  public:
    explicit Web(Statistics *shared);
    virtual ~Web();
    /* Listens on a loopback port (0: any); returns the port. */
    int start(int port);
    void stop();
    Statistics *shared_statistics() const
    {
        return statistics;
    }
};

} // namespace server

#endif
