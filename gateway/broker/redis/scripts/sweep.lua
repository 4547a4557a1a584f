return purge()
