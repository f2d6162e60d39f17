#!/bin/busybox sh
# First process of the guest. Up to "waits" nothing depends on Berth or on the storage: the image keeps the machine's state of that moment, and
# most boots begin there. The line that it waits for has an id for this boot and the time. Then Berth's layer and a tmpfs are laid
# over the root disk, and init there takes over.
set -e
for name in mount umount insmod chroot cat mkdir blockdev date switch_root; do alias $name="/bin/busybox $name"; done
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
while read -r module; do insmod "/modules/$module"; done </modules/order
mount -r -t squashfs /dev/vda /lower
mount -o bind /proc /lower/proc
chroot /lower /sbin/modprobe -a loop dm_mod virtio_net i6300esb bridge veth nft_chain_nat nft_masq nft_ct nf_conntrack
umount /lower/proc
cat /lower/usr/local/bin/node /lower/usr/sbin/sshd /lower/usr/bin/lxc-start /lower/usr/lib/x86_64-linux-gnu/lib*.so* >/dev/null
# Open before anybody is told to write to it: what comes earlier is lost.
exec 3</dev/ttyS0
word=''
until [ "$word" = go ]; do
  echo 'berth-vm: waits'
  read -r -t 20 word boot_id seconds <&3 || word=''
done
exec 3<&-
date -s "@$seconds" >/dev/null
# Whatever was read of them then, they are other disks now.
blockdev --flushbufs /dev/vdb
blockdev --flushbufs /dev/vdc
mount -r -t squashfs /dev/vdb /berth
mount -t tmpfs -o mode=755 upper /upper
mkdir /upper/work /upper/files
mount -t overlay -o lowerdir=/berth:/lower,upperdir=/upper/files,workdir=/upper/work root /root
echo "$boot_id" >/root/etc/boot-id
umount /proc
umount /sys
mount -o move /dev /root/dev
exec /bin/busybox switch_root /root /sbin/init
