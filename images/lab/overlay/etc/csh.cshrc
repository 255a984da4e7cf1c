# /etc/csh.cshrc: settings for every csh
if ($umask == 0) then
    umask 022
endif
