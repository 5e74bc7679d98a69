"""Frame rates, time codes and time stamps."""
